// Shows posts of a standing query as they come.
import { flow } from "./flow.js";
import { drawn } from "./shown.js";
import { moment } from "./times.js";

const section = document.getElementById("tail");
let last = "Listening.", skipped = 0;

if (section) {
  flow(section.dataset.stream, { most: 100, draw: drawn, words, missed, on: { state: told } });
  document.getElementById("clear").addEventListener("click", () => document.getElementById("posts").replaceChildren());
}

function told(state) {
  skipped += state.skipped;
  if (state.trouble) last = `No posts: ${state.trouble}.`;
  else if (!state.stream) last = "Listening; nothing comes at all from any source.";
  else last = `Listening; ${state.stream.toLocaleString("en")} posts came in the last seconds.`;
}

function words({ came, passed }) {
  const said = [last, `${came.toLocaleString("en")} match.`];
  if (passed) said.push(`${passed.toLocaleString("en")} came too fast to be shown.`);
  if (skipped) said.push(`${skipped.toLocaleString("en")} records of the stream were passed over.`);
  return said.join(" ");
}

function missed(since, until) {
  const item = document.createElement("li");
  item.className = "hint";
  item.append("Nobody looked on from ", moment(since), " to ", moment(until), ": what came then is not shown.");
  return item;
}
