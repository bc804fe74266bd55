// An event while it happens: its newest posts as they come, and its figures as soon as they change.
import { flow } from "./flow.js";
import { changed } from "./now.js";
import { moment } from "./times.js";

const form = document.getElementById("post");

flow(document.getElementById("newest").dataset.stream, {
  most: 50,
  draw: made,
  words: ({ passed }) => (passed ? `Live; ${passed.toLocaleString("en")} posts came too fast to be shown.` : "Live."),
  begins: (list) => list.replaceChildren(), // the stream begins with the last few
  on: { counted: changed },
});

// Texts are set as text, never as HTML.
function made(post) {
  const item = form.content.firstElementChild.cloneNode(true);
  item.dataset.id = post.id;
  const fields = { name: post.name ?? "", account: post.account ? `@${post.account}` : "", text: post.text,
    matched: (post.matched ?? []).join(", "), way: post.source + (post.origin === "live" ? "" : `, ${post.origin}`) };
  for (const [key, value] of Object.entries(fields)) item.querySelector(`[data-is="${key}"]`).textContent = value;
  item.querySelector('[data-is="at"]').replaceChildren(moment(post.created_at ?? post.received_at));
  const cover = item.querySelector('[data-is="cover"]');
  cover.open = !post.sensitive;
  cover.classList.toggle("bare", !post.sensitive);
  link(item.querySelector('[data-is="link"]'), post.address);
  link(item.querySelector('[data-is="media"]'), post.media);
  return item;
}

function link(element, address) {
  element.hidden = !/^https?:\/\//i.test(address ?? "");
  if (element.hidden) element.removeAttribute("href");
  else element.href = address;
}
