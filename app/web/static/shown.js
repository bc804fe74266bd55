// Draws a post that the API shows. Texts are set as text, never as HTML; media are counted and not loaded.
import { moment } from "./times.js";

export function drawn(post) {
  const item = element("li", "post");
  const head = element("p", "post-head");
  const time = moment(post.created_at ?? post.received_at);
  const who = document.createElement("bdi");
  who.textContent = [post.name, post.account && `@${post.account}`].filter(Boolean).join(" ") || "unknown";
  head.append(who, " · ", time, ` · ${post.source || "unknown"}`);
  if (/^https:\/\//.test(post.link ?? "")) {
    const link = document.createElement("a");
    link.href = post.link;
    link.rel = "noopener noreferrer nofollow";
    link.target = "_blank";
    link.textContent = "at its source";
    head.append(" · ", link);
  }
  item.append(head, text("p", post.text, post.sensitive));
  if (post.quoted?.length) item.append(text("blockquote", post.quoted, post.sensitive));
  const foot = [`matched ${Object.entries(post.matched).map(([what, where]) => `${what} (${where.replaceAll("_", " ").replaceAll(",", ", ")})`).join("; ")}`];
  if (post.media) foot.push(`${post.media} picture${post.media === 1 ? "" : "s"} or videos, not loaded`);
  const last = element("p", "post-foot");
  last.dir = "auto";
  last.textContent = foot.join(" · ");
  item.append(last);
  return item;
}

function text(kind, pieces, sensitive) {
  const holder = element(kind, "post-text");
  holder.dir = "auto";
  for (const piece of pieces) {
    if (!piece.marked) holder.append(piece.text);
    else {
      const mark = document.createElement("mark");
      mark.textContent = piece.text;
      holder.append(mark);
    }
  }
  if (!sensitive) return holder;
  const closed = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = "Marked as sensitive by its author or source";
  closed.append(summary, holder);
  return closed;
}

function element(kind, style) {
  const made = document.createElement(kind);
  made.className = style;
  return made;
}
