"""Posts in the form of X's API v2: one or several `data` objects with shared `includes`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from msgspec import Struct

from app.generator import times
from app.generator.drafts import Draft, copy_of, said_by
from app.generator.links import v2_medium
from app.generator.parts import HASHTAG, MEDIA, MENTION, URL, WORDS, Part, shown
from app.generator.people import NOBODY, U_ID

LONG = 280  # characters; beyond, the whole text is in `note_tweet`


class _Includes(Struct):
    users: dict[str, Any]
    tweets: dict[str, Any]
    media: dict[str, Any]
    places: dict[str, Any]


def line(drafts: Sequence[Draft], *, as_list: bool) -> bytes:
    """Posts as one line: `data` is an object, or a list of all."""
    includes = _Includes({}, {}, {}, {})
    data = [_post(draft, includes) for draft in drafts]
    listed = {
        "users": list(includes.users.values()),
        "tweets": list(includes.tweets.values()),
        "media": list(includes.media.values()),
        "places": list(includes.places.values()),
    }
    given = {kind: items for kind, items in listed.items() if items}
    return orjson.dumps({"data": data if as_list else data[0], "includes": given})


def bare_line(draft: Draft) -> bytes:
    """A post of which nothing was asked but what always comes, and its author's id."""
    post = {"id": str(draft.id), "text": shown(draft.parts), "edit_history_tweet_ids": [str(draft.id)]}
    return orjson.dumps({"data": post | {"author_id": draft.author.id}})


def columns(draft: Draft) -> tuple[Any, ...]:
    """The columns of the post's row, in their order."""
    said = said_by(draft)
    spot = draft.spot
    return (
        str(draft.id),
        said.hashtags,
        said.media,
        spot.exact if spot else None,
        draft.at_ms,
        draft.likes,
        None,
        spot.v2_area if spot else None,
        draft.retweeted is not None,
        draft.lang,
        draft.retweets,
        None,
        said.text,
        *draft.author.v2_columns,
        *said.mentions,
        said.urls,
        spot.name if spot else None,
        str(draft.quoted.id) if draft.quoted else None,
        str(draft.reply_id) if draft.reply_id else None,
        str(draft.retweeted.id) if draft.retweeted else None,
    )


def bare_columns(draft: Draft) -> tuple[Any, ...]:
    """The columns of a bare post: id, time in the id, text and the author's id."""
    said = said_by(draft)
    author: list[str | None] = [*NOBODY]
    author[U_ID] = draft.author.id
    start = (str(draft.id), None, None, None, draft.at_ms, None, None, None, False, None, None, None, said.text)
    return (*start, *author, *(None,) * 8)


def _post(draft: Draft, includes: _Includes) -> dict[str, Any]:
    post: dict[str, Any] = {
        "id": str(draft.id),
        "author_id": draft.author.id,
        "created_at": times.v2(draft.at_ms),
        "lang": draft.lang,
        "conversation_id": str(draft.reply_id or draft.id),
        "edit_history_tweet_ids": [str(draft.id)],
        "possibly_sensitive": False,
        "public_metrics": {
            "retweet_count": draft.retweets,
            "reply_count": 0,
            "like_count": draft.likes,
            "quote_count": 0,
        },
    }
    includes.users[draft.author.id] = draft.author.v2
    if draft.retweeted:
        copy = copy_of(draft.retweeted)
        post["text"] = copy.text
        _put_entities(post, post, copy.parts, len("RT "), includes)
    else:
        _put_text(post, draft, includes)
    if references := _references(draft, includes):
        post["referenced_tweets"] = references
    if draft.reply_to:
        post["in_reply_to_user_id"] = draft.reply_to.id
        includes.users[draft.reply_to.id] = draft.reply_to.v2
    if draft.spot:
        post["geo"] = draft.spot.v2_geo
        includes.places[draft.spot.v2_geo["place_id"]] = draft.spot.v2_place
    return post


def _put_text(post: dict[str, Any], draft: Draft, includes: _Includes) -> None:
    text = shown(draft.parts)
    if len(text) <= LONG:
        post["text"] = text
        _put_entities(post, post, draft.parts, 0, includes)
        return
    length = kept = 0
    for part in draft.parts:
        length += len(part.shown) + 1
        if length > LONG - 26:
            break
        kept += 1
    post["text"] = f"{shown(draft.parts[:kept])}… https://t.co/W{draft.id % 10**9:09}"
    _put_entities(post, post, draft.parts[:kept], 0, includes)
    post["note_tweet"] = {"text": text}
    _put_entities(post["note_tweet"], post, draft.parts, 0, includes)


def _references(draft: Draft, includes: _Includes) -> list[dict[str, str]]:
    found = []
    for kind, other in (("retweeted", draft.retweeted), ("quoted", draft.quoted)):
        if other is not None:
            found.append({"type": kind, "id": str(other.id)})
            if kind == "retweeted" or not draft.quoted_is_gone:
                includes.tweets[str(other.id)] = _post(other, includes)
    if draft.reply_id:
        found.append({"type": "replied_to", "id": str(draft.reply_id)})
    return found


def _put_entities(
    holder: dict[str, Any], post: dict[str, Any], parts: tuple[Part, ...], start: int, includes: _Includes
) -> None:
    found: dict[str, list[Any]] = {}
    media = []
    for part in parts:
        end = start + len(part.shown)
        kind, value = part.kind, part.value
        if kind == WORDS:
            pass
        elif kind == HASHTAG:
            found.setdefault("hashtags", []).append({"start": start, "end": end, "tag": value})
        elif kind == URL:
            found.setdefault("urls", []).append(_link(value.short, value.expanded, value.display, start, end))
        elif kind == MENTION:
            number, username, _ = value
            found.setdefault("mentions", []).append({"start": start, "end": end, "username": username, "id": number})
            includes.users.setdefault(number, _named(value))
        elif kind == MEDIA:
            key = f"3_{value.number}"
            address = f"https://twitter.com/a/status/1/photo/{value.number}"
            link = _link(value.short, address, value.display, start, end)
            found.setdefault("urls", []).append(link | {"media_key": key})
            media.append(key)
            includes.media[key] = v2_medium(value)
        start = end + 1
    if found:
        holder["entities"] = found
    if media:
        post["attachments"] = {"media_keys": media}


def _named(value: Any) -> dict[str, str]:
    """A mentioned user, of whom only the name is needed here."""
    number, username, name = value
    return {"id": number, "username": username, "name": name}


def _link(short: str, address: str, display: str, start: int, end: int) -> dict[str, Any]:
    return {"start": start, "end": end, "url": short, "expanded_url": address, "display_url": display}
