// Asks again for the part of a page that changes, and shows posts as they come. Texts are set as text, never as HTML.
import { name } from "./times.js";

const PART_MS = 2000, SLOW_MS = 15000, MOST_POSTS = 50, MOST_WAITING = 200;
const part = document.getElementById("now");
let query = part?.dataset.query ?? "";
let again = 0;

async function refresh() {
  clearTimeout(again);
  let pause = PART_MS;
  try {
    const answer = await fetch(`${part.dataset.part}?${query}`, { redirect: "error", signal: AbortSignal.timeout(10000) });
    if (answer.ok) show(await answer.text());
    else pause = SLOW_MS;
  } catch {
    pause = SLOW_MS;
  }
  again = setTimeout(refresh, document.hidden ? SLOW_MS : pause);
}

function show(html) {
  if (part.contains(document.getSelection()?.anchorNode) && !document.getSelection().isCollapsed) return; // being copied
  const focused = document.activeElement?.id;
  if (part.contains(document.activeElement) && !focused) return; // somebody is at a link
  const open = new Map([...part.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
  part.innerHTML = html; // made by our server, which escapes
  name(part.querySelectorAll("time[datetime]"));
  for (const [id, was] of open) {
    const one = document.getElementById(id);
    if (one) one.open = was;
  }
  if (focused) document.getElementById(focused)?.focus();
}

part?.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-query]");
  if (!link) return;
  event.preventDefault();
  query = link.dataset.query;
  refresh();
});

if (part) again = setTimeout(refresh, PART_MS);

const newest = document.getElementById("newest");
if (newest) follow(newest);

function follow(section) {
  const list = document.getElementById("posts");
  const form = document.getElementById("post");
  const hold = document.getElementById("hold");
  const state = document.getElementById("stream-state");
  let waiting = [], passed = 0, paused = false, began = false;

  const source = new EventSource(section.dataset.stream);
  source.addEventListener("open", () => say("Live."));
  source.addEventListener("error", () => say("Not connected; trying again."));
  source.addEventListener("posts", (event) => {
    const told = JSON.parse(event.data);
    if (!began) list.replaceChildren(); // the stream begins with the last few
    began = true;
    passed += told.passed;
    waiting = waiting.concat(told.posts);
    if (waiting.length > MOST_WAITING) passed += waiting.splice(0, waiting.length - MOST_WAITING).length;
    if (paused) say(`Held: ${waiting.length + passed} more have come.`);
    else put();
  });
  source.addEventListener("ended", (event) => {
    source.close();
    say(`Ended: ${JSON.parse(event.data).why}.`);
  });
  hold.addEventListener("click", () => {
    paused = !paused;
    hold.setAttribute("aria-pressed", String(paused));
    if (paused) say("Held.");
    else put();
  });

  function put() {
    for (const post of waiting) list.prepend(made(post));
    while (list.children.length > MOST_POSTS) list.lastElementChild.remove();
    say(passed ? `Live; ${passed.toLocaleString("en")} posts came too fast to be shown.` : "Live.");
    waiting = [];
  }

  function made(post) {
    const item = form.content.firstElementChild.cloneNode(true);
    const at = new Date(post.created_at ?? post.received_at);
    const time = document.createElement("time");
    time.dateTime = at.toISOString();
    time.textContent = `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
    name([time]);
    item.dataset.id = post.id;
    const fields = { name: post.name ?? "", account: post.account ? `@${post.account}` : "", text: post.text,
      matched: (post.matched ?? []).join(", "), way: post.source + (post.origin === "live" ? "" : `, ${post.origin}`) };
    for (const [key, value] of Object.entries(fields)) item.querySelector(`[data-is="${key}"]`).textContent = value;
    item.querySelector('[data-is="at"]').replaceChildren(time);
    link(item.querySelector('[data-is="link"]'), post.address);
    link(item.querySelector('[data-is="media"]'), post.media);
    return item;
  }

  function link(element, address) {
    element.hidden = !/^https?:\/\//i.test(address ?? "");
    if (element.hidden) element.removeAttribute("href");
    else element.href = address;
  }

  function say(text) {
    if (state.textContent !== text) state.textContent = text;
  }
}
