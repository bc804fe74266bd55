// Shows posts of a standing query as they come.
import { drawn } from "./shown.js";

const MOST_SHOWN = 100, MOST_WAITING = 200;
const section = document.getElementById("tail");
if (section) follow();

function follow() {
  const list = document.getElementById("posts"), state = document.getElementById("stream-state");
  const pause = document.getElementById("pause");
  let waiting = [], missed = 0, skipped = 0, count = 0, paused = false, last = "";

  const source = new EventSource(section.dataset.stream);
  source.addEventListener("error", () => {
    const over = source.readyState === EventSource.CLOSED;
    say(over ? "Refused: too many queries are open, or you are signed out. Load the page again." : "Not connected; trying again.");
  });
  source.addEventListener("posts", (event) => {
    const told = JSON.parse(event.data);
    missed += told.missed;
    count += told.posts.length + told.missed;
    waiting = waiting.concat(told.posts);
    if (waiting.length > MOST_WAITING) missed += waiting.splice(0, waiting.length - MOST_WAITING).length;
    if (paused) say(`Paused; ${waiting.length} wait.`);
    else put();
  });
  source.addEventListener("state", (event) => {
    const told = JSON.parse(event.data);
    skipped += told.skipped;
    if (told.trouble) last = `No posts: ${told.trouble}.`;
    else if (!told.stream) last = "Listening; nothing comes at all from any source.";
    else last = `Listening; ${told.stream.toLocaleString("en")} posts came in the last seconds.`;
    if (!paused) summary();
  });
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    if (paused) say("Paused.");
    else put();
  });
  document.getElementById("clear").addEventListener("click", () => list.replaceChildren());

  function put() {
    for (const post of waiting) list.prepend(drawn(post));
    while (list.children.length > MOST_SHOWN) list.lastElementChild.remove();
    waiting = [];
    summary();
  }

  function summary() {
    const words = [last || "Listening.", `${count.toLocaleString("en")} match.`];
    if (missed) words.push(`${missed.toLocaleString("en")} came too fast to be shown.`);
    if (skipped) words.push(`${skipped.toLocaleString("en")} records of the stream were passed over.`);
    say(words.join(" "));
  }

  function say(words) {
    if (state.textContent !== words) state.textContent = words;
  }
}
