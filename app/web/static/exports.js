// Follows the list of exports, and shows the options of the chosen format alone.
import { ask, tell } from "./part.js";
import { name } from "./times.js";

const SOON = 1500, LATER = 15000; // ms: while something is written, and else
const list = document.getElementById("exports");
const news = document.getElementById("news");
const stale = document.getElementById("stale");
const format = document.getElementById("format");
let shown = new Date(); // when what stands here was asked for

function states() {
  return new Map([...list.querySelectorAll("[data-export]")].map((row) => [row.dataset.export, row.dataset.state]));
}

async function look() {
  const asked = new Date();
  const { html, trouble } = await ask(list.dataset.list);
  if (!trouble) {
    show(html);
    shown = asked;
  }
  tell(stale, shown, trouble);
  const working = [...states().values()].some((state) => state === "waiting" || state === "running");
  setTimeout(look, trouble || !working || document.hidden ? LATER : SOON);
}

function show(html) {
  const before = states(), focused = document.activeElement?.id;
  if (list.contains(document.activeElement) && !focused) return; // somebody is at a link
  list.innerHTML = html; // made by our server, which escapes
  name(list.querySelectorAll("time[datetime]"));
  if (focused) document.getElementById(focused)?.focus();
  for (const [id, state] of states()) {
    if (before.has(id) && before.get(id) !== state) {
      const row = list.querySelector(`[data-export="${id}"] th`);
      news.textContent = `Export ${row.firstChild.textContent.trim()}: ${state}`;
    }
  }
}

function options() {
  for (const part of document.querySelectorAll("[data-for]")) {
    part.hidden = !part.dataset.for.split(" ").includes(format.value);
  }
}

format.addEventListener("change", options);
options();
setTimeout(look, SOON);
