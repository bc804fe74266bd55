// Follows the list of exports, and shows the options of the chosen format alone.
import { name } from "./times.js";

const SOON = 1500, LATER = 15000; // ms: while something is written, and else
const list = document.getElementById("exports");
const news = document.getElementById("news");
const format = document.getElementById("format");

function states() {
  return new Map([...list.querySelectorAll("[data-export]")].map((row) => [row.dataset.export, row.dataset.state]));
}

async function look() {
  let pause = SOON;
  try {
    const answer = await fetch(list.dataset.list, { redirect: "error", signal: AbortSignal.timeout(10000) });
    if (answer.ok) show(await answer.text());
    else pause = LATER;
    if (![...states().values()].some((state) => state === "waiting" || state === "running")) pause = LATER;
  } catch {
    pause = LATER;
  }
  setTimeout(look, document.hidden ? LATER : pause);
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
