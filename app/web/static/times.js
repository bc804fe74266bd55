// Each time is shown in UTC; its title says the reader's own.
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

export function name(times) {
  for (const time of times) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.valueOf())) time.title = local.format(at);
  }
}

name(document.querySelectorAll("time[datetime]"));
