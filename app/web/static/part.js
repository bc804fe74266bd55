// Asks the server for a part of a page: its HTML, or what the trouble is.
export async function ask(place) {
  try {
    const answer = await fetch(place, { redirect: "manual", signal: AbortSignal.timeout(10000) });
    if (answer.ok) return { html: await answer.text(), trouble: "" };
    // Whoever is signed out is led to the page to sign in, which is no part of this one.
    const out = answer.type === "opaqueredirect" || answer.status === 401;
    return { html: "", trouble: out ? "you are signed out: load the page again" : `the server answers ${answer.status}` };
  } catch {
    return { html: "", trouble: "the server does not answer" };
  }
}

// Has a line say of when the page is, where there is trouble.
export function tell(line, shown, trouble) {
  const words = trouble && `As of ${shown.toISOString().slice(0, 19).replace("T", " ")} UTC: ${trouble}.`;
  if (line.textContent !== words) line.textContent = words;
}
