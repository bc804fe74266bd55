// Each time is shown in UTC; its title says the reader's own.
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

export function name(times) {
  for (const time of times) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.valueOf())) time.title = local.format(at);
  }
}

// An element that shows a time.
export function moment(when) {
  const at = new Date(when);
  const time = document.createElement("time");
  time.dateTime = at.toISOString();
  time.textContent = `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  name([time]);
  return time;
}

name(document.querySelectorAll("time[datetime]"));
