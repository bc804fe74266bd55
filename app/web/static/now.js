// Asks again for the part of a page that changes: at once when `changed` is called, else every two seconds, and not at all
// while nobody sees it.
import { ask, tell } from "./part.js";
import { name } from "./times.js";

const PART_MS = 2000, SOONEST_MS = 500, SLOW_MS = 15000;
const part = document.getElementById("now");
const stale = document.getElementById("stale");
let shown = new Date(); // when what stands here was asked for
let asked = new Date();
let query = part.dataset.query ?? "";
let again = 0, asking = false, wanted = false;

// The figures have changed, as somebody has been told.
export function changed() {
  wanted = true;
  if (!asking) next(SOONEST_MS);
}

async function refresh() {
  if (asking) return;
  asking = true;
  wanted = false;
  asked = new Date();
  const mine = query;
  const { html, trouble } = await ask(`${part.dataset.part}?${mine}`);
  if (!trouble) {
    show(html);
    shown = asked;
  }
  tell(stale, shown, trouble);
  asking = false;
  if (query !== mine) refresh();
  else next(trouble ? SLOW_MS : wanted ? SOONEST_MS : PART_MS);
}

// At once where the last answer is so old already.
function next(after) {
  clearTimeout(again);
  if (document.hidden) return;
  const pause = after - (Date.now() - asked);
  if (pause > 0) again = setTimeout(refresh, pause);
  else refresh();
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

part.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-query]");
  if (!link) return;
  event.preventDefault();
  query = link.dataset.query;
  refresh();
});
document.addEventListener("visibilitychange", () => (asking ? undefined : next(SOONEST_MS)));
next(PART_MS);
