// Posts that a stream tells, put on a list as they come, and held back while somebody reads.
//
// A hidden page lets go of its stream, and asks for it again when it is seen: all tabs of a browser share six connections
// to a site, and with one held by each the seventh would load nothing at all.
const HIDDEN_MS = 5000, MOST_WAITING = 200;

// `draw` makes an element of a post, `words` says how it is, of posts that came and that were passed over; `on` has what
// else to do by name of an event, `begins` what to do before the first posts, `missed` what stands for a time not heard.
export function flow(stream, { most, draw, words, on = {}, begins = () => {}, missed = null }) {
  const list = document.getElementById("posts"), hold = document.getElementById("hold");
  const state = document.getElementById("stream-state");
  const count = { came: 0, passed: 0 };
  let source = null, mark = "", waiting = [], held = false, began = false, heard = false, rest = 0, left = null;

  function open() {
    const address = new URL(stream, location.href);
    if (mark) address.searchParams.set("mark", mark);
    source = new EventSource(address);
    source.addEventListener("open", opened);
    source.addEventListener("error", () => {
      const over = source.readyState === EventSource.CLOSED;
      if (heard) left ??= new Date(); // it tries again by itself
      say(over ? "Refused: too many look on, or you are signed out. Load the page again." : "Not connected; trying again.");
    });
    source.addEventListener("ended", (event) => {
      source.close();
      say(`Ended: ${JSON.parse(event.data).why}.`);
    });
    source.addEventListener("posts", (event) => came(JSON.parse(event.data), event.lastEventId));
    for (const [name, act] of Object.entries(on)) {
      source.addEventListener(name, (event) => {
        act(JSON.parse(event.data));
        tell();
      });
    }
  }

  function opened() {
    if (left && !mark && missed) list.prepend(missed(left, new Date()));
    heard = true;
    left = null;
    tell();
  }

  function came(told, id) {
    if (!began) begins(list);
    began = true;
    mark = id;
    const passed = told.passed ?? told.missed;
    count.came += told.posts.length + passed;
    count.passed += passed;
    waiting = waiting.concat(told.posts);
    if (waiting.length > MOST_WAITING) count.passed += waiting.splice(0, waiting.length - MOST_WAITING).length;
    if (!held) put();
    tell();
  }

  function put() {
    for (const post of waiting) list.prepend(draw(post));
    while (list.children.length > most) list.lastElementChild.remove();
    waiting = [];
  }

  function tell() {
    if (held) say(waiting.length ? `Held: ${waiting.length} more have come.` : "Held.");
    else say(words(count));
  }

  function say(text) {
    if (state.textContent !== text) state.textContent = text; // a screen reader would read it again
  }

  function sleep() {
    if (source.readyState === EventSource.CLOSED) return; // refused or ended: that stays
    source.close();
    source = null;
    left ??= new Date();
  }

  hold.addEventListener("click", () => {
    held = !held;
    hold.setAttribute("aria-pressed", String(held));
    if (!held) put();
    tell();
  });
  document.addEventListener("visibilitychange", () => {
    clearTimeout(rest);
    if (!document.hidden) source ?? open();
    else if (source) rest = setTimeout(sleep, HIDDEN_MS);
  });
  if (!document.hidden) open();
}
