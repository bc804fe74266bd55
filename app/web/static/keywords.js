// What there is to say of the keywords, while they are typed.
const field = document.getElementById("keywords");
const list = document.getElementById("advice");
const token = document.querySelector('meta[name="csrf"]')?.content ?? "";
const PAUSE = 400; // ms after the last key
let waiting, asking;

async function ask() {
  asking?.abort();
  asking = new AbortController();
  const keywords = field.value.split("\n").slice(0, 1000);
  while (keywords.length && !keywords.at(-1).trim()) keywords.pop(); // the line that is being begun
  try {
    const answer = await fetch("/api/v1/advice", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": token },
      body: JSON.stringify({ keywords, code: field.form.dataset.code }),
      signal: asking.signal,
    });
    if (answer.ok) show((await answer.json()).advice);
    else if (answer.status === 429) later(Number(answer.headers.get("Retry-After") ?? 1) * 1000);
  } catch {
    // the form says it when it is sent
  }
}

function show(advice) {
  const said = advice.map((one) => (one.keyword ? `${one.keyword}: ` : "") + one.says).join("\n");
  if (list.dataset.said === said) return; // a screen reader would read it again
  list.dataset.said = said;
  list.replaceChildren(
    ...advice.map((one) => {
      const item = document.createElement("li");
      item.className = one.fault ? "bad" : "warn";
      if (one.keyword) {
        const keyword = document.createElement("bdi");
        keyword.textContent = one.keyword;
        item.append(keyword, ": ");
      }
      item.append(one.says);
      return item;
    }),
  );
}

function later(ms) {
  clearTimeout(waiting);
  waiting = setTimeout(ask, ms);
}

field.addEventListener("input", () => later(PAUSE));
if (field.value !== field.defaultValue) later(0); // typed before this script came, or put back by the browser
