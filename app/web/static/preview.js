// Tries the keywords of the form on the page, and shows what they would find.
import { drawn } from "./shown.js";

const SVG = "http://www.w3.org/2000/svg";
const token = document.querySelector('meta[name="csrf"]')?.content ?? "";
const form = document.getElementById("keywords").form;
const part = (name) => document.getElementById(`preview-${name}`);
const number = (value) => value.toLocaleString("en", { maximumFractionDigits: value >= 10 ? 0 : 1 });
let asking;

form.id === "selection" && form.addEventListener("submit", (event) => { event.preventDefault(); ask(); });
part("try").addEventListener("click", ask);
part("cancel").addEventListener("click", () => asking?.abort());
busy(false); // until here a click would be lost

function lines(name) {
  return (form.elements[name]?.value ?? "").split("\n").map((line) => line.trim()).filter(Boolean);
}

function wanted() {
  return {
    keywords: lines("keywords"),
    accounts: lines("accounts"),
    boxes: lines("boxes").map((line) => line.split(",").map(Number)),
    languages: (form.elements.languages?.value ?? "").split(",").map((one) => one.trim()).filter(Boolean),
    hours: Number(part("hours").value),
  };
}

async function ask() {
  asking?.abort();
  const mine = (asking = new AbortController());
  busy(true);
  say("Reading the posts that are kept…");
  try {
    const answer = await fetch("/api/v1/preview", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": token },
      body: JSON.stringify(wanted()),
      signal: mine.signal,
      redirect: "error",
    });
    const told = await answer.json();
    if (answer.ok) show(told);
    else say(told.detail ?? "It did not work.", true);
  } catch {
    if (asking === mine) say(mine.signal.aborted ? "Cancelled." : "The server does not answer; try again.", !mine.signal.aborted);
  } finally {
    if (asking === mine) busy(false);
  }
}

function busy(is) {
  part("cancel").hidden = !is;
  part("try").disabled = is;
}

function say(words, bad = false) {
  part("state").textContent = words;
  part("state").className = bad ? "wrong" : "";
}

function show(found) {
  const basis = found.basis;
  const about = basis.stopped_by ? "about " : "";
  const limit = { "": "", posts: ", the limit of posts", seconds: ", the limit of time" }[basis.stopped_by];
  say(`Read ${number(basis.posts)} of ${about}${number(basis.posts_about)} posts${limit}${received(basis)}.`);
  items("words", [...found.words, ...basis.sources.map((one) => `${one.source}: ${number(one.posts)} posts, ${number(one.hits)} match`)]);
  const not = [...found.cannot_tell, ...(found.counted?.left_out ?? []).map((one) => `X was not asked for ${one}`)];
  if (found.counting_failed) not.push(`No counts of X: ${found.counting_failed}`);
  items("cannot", not.length ? not : ["Nothing is known that is missing."]);
  part("plot").replaceChildren(plot(found));
  part("keywords").replaceChildren(...found.keywords.map(row));
  part("noise").hidden = !found.hints.length;
  items("hints", found.hints.map((hint) => hint.text));
  part("samples").replaceChildren(...(found.samples.length ? found.samples.map(drawn) : [item("No post matches.")]));
  part("found").hidden = false;
}

function received(basis) {
  if (basis.since === null) return "";
  const at = (ms) => `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")}`;
  return `, received from ${at(basis.since)} to ${at(basis.until)} UTC`;
}

function items(name, texts) {
  part(name).replaceChildren(...texts.map(item));
}

function item(text) {
  const made = document.createElement("li");
  made.dir = "auto";
  made.textContent = text;
  return made;
}

function row(figure) {
  const made = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.dir = "auto";
  head.textContent = figure.selector;
  const rate = figure.per_hour === null ? "" : number(figure.per_hour);
  const cells = [number(figure.hits), `${Math.round(figure.share * 100)} %`, number(figure.alone), rate].map((text) => {
    const cell = document.createElement("td");
    cell.className = "figure";
    cell.textContent = text;
    return cell;
  });
  made.append(head, ...cells);
  return made;
}

function plot(found) {
  const shown = svg("svg", { viewBox: "0 0 480 80", role: "img", class: "plot", preserveAspectRatio: "none" });
  const bins = found.bins;
  if (!bins.length) {
    shown.setAttribute("aria-label", "No posts over time");
    return shown;
  }
  const first = bins[0].start, most = Math.max(1, ...bins.map((one) => one.hits));
  const count = (bins.at(-1).start - first) / found.bin_ms + 1, width = 480 / count;
  shown.setAttribute("aria-label", `Hits over time: at most ${number(most)} in ${number(found.bin_ms / 60000)} minutes`);
  for (const bin of bins) {
    const height = (78 * bin.hits) / most;
    const x = ((bin.start - first) / found.bin_ms) * width;
    const bar = svg("rect", { x, y: 80 - height, width: Math.max(1, width - 1), height });
    const title = svg("title", {});
    title.textContent = `${new Date(bin.start).toISOString().slice(0, 16).replace("T", " ")} UTC: about ${number(bin.hits)} of ${number(bin.posts)}`;
    bar.append(title);
    shown.append(bar);
  }
  return shown;
}

function svg(kind, attributes) {
  const made = document.createElementNS(SVG, kind);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
