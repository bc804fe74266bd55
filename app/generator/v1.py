"""Posts in the forms of X's API v1.1: streaming (compat, with `extended_tweet`), REST, and what tools made of them."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import orjson

from app.generator import times
from app.generator.drafts import Copy, Draft, said_by
from app.generator.links import v1_medium
from app.generator.parts import HASHTAG, MEDIA, MENTION, URL, WORDS, Part, shown
from app.generator.people import rounded

# old: before languages and likes were told; undated: without created_at; tool: passed through a JavaScript tool
Form: TypeAlias = Literal["stream", "rest", "old", "undated", "tool"]
COMPAT = 140  # characters of a streamed post's `text`
_APP = '<a href="https://app.example" rel="nofollow">Example App</a>'
_NOWHERE = {"coordinates": None, "geo": None, "place": None}


def status(draft: Draft, copy: Copy | None, form: Form) -> dict[str, Any]:
    """The JSON of a post. `copy` is its own text where it is a retweet."""
    number = rounded(draft.id) if form == "tool" else draft.id
    body: dict[str, Any] = {"created_at": times.v1(draft.at_ms), "id": number, "id_str": str(draft.id)}
    if copy is not None:
        _put_text(body, copy.text, _entities(copy.parts, len("RT ")), form)
    else:
        _put_parts(body, draft, form)
    body |= {
        "source": _APP,
        "in_reply_to_status_id": draft.reply_id or None,
        "in_reply_to_status_id_str": str(draft.reply_id) if draft.reply_id else None,
        "in_reply_to_user_id": int(draft.reply_to.id) if draft.reply_to else None,
        "in_reply_to_user_id_str": draft.reply_to.id if draft.reply_to else None,
        "in_reply_to_screen_name": draft.reply_to.screen_name if draft.reply_to else None,
        "user": draft.author.v1,
        "contributors": None,
        **(draft.spot.v1 if draft.spot else _NOWHERE),
        "quote_count": 0,
        "reply_count": 0,
        "retweet_count": draft.retweets,
        "favorite_count": draft.likes,
        "favorited": "False" if form == "tool" else False,
        "retweeted": False,
        "lang": draft.lang,
    }
    _put_others(body, draft, form)
    if form in ("stream", "undated"):
        body["timestamp_ms"] = str(draft.at_ms)
    if form == "undated":
        del body["created_at"]
    elif form == "old":
        del body["lang"], body["favorite_count"], body["quote_count"]
    return body


def columns(draft: Draft, form: Form) -> tuple[Any, ...]:
    """The columns of the post's row, in their order."""
    said = said_by(draft)
    quoted = (draft.retweeted or draft).quoted
    spot = draft.spot
    return (
        str(draft.id),
        said.hashtags,
        said.media,
        spot.exact if spot else None,
        draft.at_ms if form == "undated" else draft.at_ms // 1000 * 1000,
        None if form == "old" else draft.likes,
        False,
        spot.v1_area if spot else None,
        draft.retweeted is not None,
        None if form == "old" else draft.lang,
        draft.retweets,
        False,
        said.text,
        *draft.author.v1_columns,
        *said.mentions,
        said.urls,
        spot.name if spot else None,
        str(quoted.id) if quoted else None,
        str(draft.reply_id) if draft.reply_id else None,
        str(draft.retweeted.id) if draft.retweeted else None,
    )


def _put_others(body: dict[str, Any], draft: Draft, form: Form) -> None:
    """Put in the retweeted and the quoted post."""
    original = draft.retweeted or draft
    inner: Form = "rest" if form == "rest" else "stream"
    body["is_quote_status"] = original.quoted is not None
    if original.quoted is not None:
        body["quoted_status_id"] = original.quoted.id
        body["quoted_status_id_str"] = str(original.quoted.id)
    if draft.retweeted is not None:
        body["retweeted_status"] = status(draft.retweeted, None, inner)
    elif original.quote is not None:
        body["quoted_status"] = status(original.quote, None, inner)


def _put_text(body: dict[str, Any], text: str, entities: dict[str, Any], form: Form) -> None:
    body["full_text" if form == "rest" else "text"] = text
    body["truncated"] = False
    body["entities"] = entities
    if media := entities.get("media"):
        body["extended_entities"] = {"media": media}


def _put_parts(body: dict[str, Any], draft: Draft, form: Form) -> None:
    text = shown(draft.parts)
    if form == "rest":
        body["display_text_range"] = [0, len(text)]
    if form == "rest" or len(text) <= COMPAT:
        _put_text(body, text, _entities(draft.parts), form)
        return
    whole: dict[str, Any] = {"display_text_range": [0, len(text)]}
    _put_text(whole, text, _entities(draft.parts), "rest")
    del whole["truncated"]
    body["extended_tweet"] = whole
    length = kept = 0
    for part in draft.parts:
        length += len(part.shown) + 1
        if length > COMPAT - 26:
            break
        kept += 1
    short = f"https://t.co/W{draft.id % 10**9:09}"
    start = f"{shown(draft.parts[:kept])}… {short}"
    entities = _entities(draft.parts[:kept])
    address = f"https://twitter.com/i/web/status/{draft.id}"
    entities["urls"].append(_link(short, address, "twitter.com/i/web/status/1…", [len(start) - 23, len(start)]))
    body |= {"text": start, "truncated": True, "entities": entities}


def _entities(parts: tuple[Part, ...], start: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = {"hashtags": [], "urls": [], "user_mentions": [], "symbols": []}
    for part in parts:
        end = start + len(part.shown)
        kind, value = part.kind, part.value
        if kind == WORDS:
            pass
        elif kind == HASHTAG:
            found["hashtags"].append({"text": value, "indices": [start, end]})
        elif kind == URL:
            found["urls"].append(_link(value.short, value.expanded, value.display, [start, end]))
        elif kind == MENTION:
            number, screen_name, name = value
            found["user_mentions"].append(
                {
                    "screen_name": screen_name,
                    "name": name,
                    "id": int(number),
                    "id_str": number,
                    "indices": [start, end],
                }
            )
        elif kind == MEDIA:
            found.setdefault("media", []).append(v1_medium(value, [start, end]))
        start = end + 1
    return found


def _link(short: str, address: str, display: str, indices: list[int]) -> dict[str, Any]:
    return {"url": short, "expanded_url": address, "display_url": display, "indices": indices}


def line(draft: Draft, copy: Copy | None, form: Form) -> bytes:
    """The post as a line of a stream."""
    return orjson.dumps(status(draft, copy, form))
