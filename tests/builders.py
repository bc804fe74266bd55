"""Builders of synthetic posts in each wire form. Nobody's posts: every text, name and id is made up here.

A builder gives the JSON object; `line` makes the bytes of it, `post` reads it, `columns` normalizes it by column name.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.normalize import Value, normalize
from app.domain.partitioning import SNOWFLAKE_EPOCH_MS
from app.domain.posts import Json, Post, read

POSTED_MS = 1_714_560_021_000  # 2024-05-01T10:40:21Z
JOINED_MS = 1_300_000_000_000  # 2011-03-13T07:06:40Z
CUT = 140  # characters of a compat text
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

LONG_TEXT = (
    "The river Rotwasser has left its bed above the old mill and stands in the lower street of Talheim; the bridge is "
    "closed, the school is open to everyone who needs a dry place, and the baker brings bread #rotwasser"
)


def snowflake(ms: int = POSTED_MS, sequence: int = 0) -> int:
    """Id that carries the moment `ms`."""
    return (ms - SNOWFLAKE_EPOCH_MS) << 22 | sequence


def v1_time(ms: int) -> str:
    """v1.1's form of a moment, in any locale."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{_DAYS[at.weekday()]} {_MONTHS[at.month - 1]} {at:%d %H:%M:%S} +0000 {at.year}"


def v2_time(ms: int) -> str:
    """v2's form of a moment."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


def user(screen_name: str = "mill_watch", **overrides: Any) -> Json:
    """A v1.1 user; the id follows from the screen name."""
    number = 7_000_000 + sum(map(ord, screen_name))
    return {
        "id": number,
        "id_str": str(number),
        "name": screen_name.replace("_", " ").title(),
        "screen_name": screen_name,
        "location": "Talheim",
        "url": "https://mill.example/",
        "description": "Looks at the water & writes it down",
        "followers_count": 120,
        "friends_count": 80,
        "listed_count": 4,
        "favourites_count": 33,
        "statuses_count": 2100,
        "created_at": v1_time(JOINED_MS),
        "utc_offset": 7200,
        "time_zone": "Bern",
        "geo_enabled": True,
        "lang": "de",
    } | overrides


def mention(screen_name: str, **overrides: Any) -> Json:
    """A v1.1 mention of `user(screen_name)`."""
    who = user(screen_name)
    return {key: who[key] for key in ("id", "id_str", "name", "screen_name")} | overrides


def link(expanded: str, **overrides: Any) -> Json:
    """A link, as v1.1 and v2 both write it."""
    return {"url": "https://t.co/abc", "expanded_url": expanded, "display_url": expanded.partition("//")[2]} | overrides


def picture(number: int = 1) -> Json:
    """A v1.1 medium."""
    address = f"pbs.example/media/{number}.jpg"
    return {"id": number, "type": "photo", "media_url": f"http://{address}", "media_url_https": f"https://{address}"}


def entities(
    hashtags: tuple[str, ...] = (),
    urls: tuple[str, ...] = (),
    mentions: tuple[str, ...] = (),
    media: tuple[int, ...] = (),
) -> Json:
    """v1.1 entities of the given tags, addresses, screen names and pictures."""
    given: Json = {
        "hashtags": [{"text": tag, "indices": [0, 1]} for tag in hashtags],
        "urls": [link(url) for url in urls],
        "user_mentions": [mention(name) for name in mentions],
        "symbols": [],
    }
    return given | ({"media": [picture(number) for number in media]} if media else {})


def place(**overrides: Any) -> Json:
    """A v1.1 place with a box of four corners, as X writes it (an open ring)."""
    return {
        "id": "abc123",
        "place_type": "city",
        "name": "Talheim",
        "full_name": "Talheim, Nowhere",
        "bounding_box": {"type": "Polygon", "coordinates": [[[8.0, 47.0], [8.0, 47.5], [8.5, 47.5], [8.5, 47.0]]]},
    } | overrides


def status(text: str = "Water in the lower street", **overrides: Any) -> Json:
    """A v1.1 streaming status in compat form. An override `id` sets `id_str` too."""
    number = overrides.get("id", snowflake())
    return {
        "created_at": v1_time(POSTED_MS),
        "id": number,
        "id_str": str(number),
        "text": text,
        "truncated": False,
        "user": user(),
        "geo": None,
        "coordinates": None,
        "place": None,
        "in_reply_to_status_id": None,
        "in_reply_to_status_id_str": None,
        "is_quote_status": False,
        "retweet_count": 2,
        "favorite_count": 5,
        "entities": entities(),
        "favorited": False,
        "retweeted": False,
        "lang": "en",
        "timestamp_ms": str(POSTED_MS),
    } | overrides


def extended_status(text: str = LONG_TEXT, whole_entities: Json | None = None, **overrides: Any) -> Json:
    """A v1.1 streaming status whose text is cut and whole in `extended_tweet`."""
    number = overrides.get("id", snowflake())
    cut = f"{text[:116]}… https://t.co/xyz"
    extended = {"full_text": text, "entities": whole_entities or entities(hashtags=("rotwasser",))}
    read_more = entities(urls=(f"https://twitter.com/i/web/status/{number}",))
    return status(cut, truncated=True, entities=read_more, extended_tweet=extended) | _with_id(overrides)


def rest_status(text: str = LONG_TEXT, **overrides: Any) -> Json:
    """A v1.1 REST status (`tweet_mode=extended`)."""
    body = status(**overrides)
    del body["text"]
    return {"full_text": text} | body


def retweet_of(original: Json, **overrides: Any) -> Json:
    """A v1.1 retweet: "RT @name: " and the original's text, cut to 140 characters."""
    author = original["user"]["screen_name"]
    whole = (original.get("extended_tweet") or original).get("full_text") or original["text"]
    text = f"RT @{author}: {whole}"
    text = text if len(text) <= CUT else text[: CUT - 1] + "…"
    number = snowflake(POSTED_MS + 60_000)
    return status(
        text,
        id=number,
        user=user("repeater"),
        entities=entities(mentions=(author,)),
        retweeted_status=original,
        created_at=v1_time(POSTED_MS + 60_000),
    ) | _with_id(overrides)


def quote_of(original: Json, text: str = "Look at this", **overrides: Any) -> Json:
    """A v1.1 quote."""
    quoted = {
        "is_quote_status": True,
        "quoted_status": original,
        "quoted_status_id": original["id"],
        "quoted_status_id_str": original["id_str"],
    }
    return status(text, id=snowflake(POSTED_MS + 90_000), user=user("quoter"), **quoted) | _with_id(overrides)


def v2_user(username: str = "mill_watch", **overrides: Any) -> Json:
    """A v2 user."""
    who = user(username)
    return {
        "id": who["id_str"],
        "name": who["name"],
        "username": username,
        "location": "Talheim",
        "url": "https://t.co/mill",
        "description": "Looks at the water",
        "created_at": v2_time(JOINED_MS),
        "public_metrics": {
            "followers_count": 120,
            "following_count": 80,
            "tweet_count": 2100,
            "listed_count": 4,
            "like_count": 33,
        },
    } | overrides


def v2_post(text: str = "Water in the lower street", **overrides: Any) -> Json:
    """A v2 `data` object; an override `id` is text."""
    return {
        "id": str(snowflake()),
        "edit_history_tweet_ids": [str(snowflake())],
        "text": text,
        "author_id": v2_user()["id"],
        "created_at": v2_time(POSTED_MS),
        "lang": "en",
        "public_metrics": {"retweet_count": 2, "reply_count": 1, "like_count": 5, "quote_count": 0},
    } | overrides


def v2_payload(text: str = "Water in the lower street", includes: Json | None = None, **overrides: Any) -> Json:
    """A v2 stream message: one `data` object, its author (and what else is given) in `includes`."""
    return {"data": v2_post(text, **overrides), "includes": {"users": [v2_user()]} | (includes or {})}


def v2_list(*posts: Json, includes: Json | None = None) -> Json:
    """A v2 search answer: a `data` list with common `includes`."""
    return {"data": list(posts), "includes": includes or {"users": [v2_user()]}, "meta": {"result_count": len(posts)}}


# ---- Bluesky

BLUESKY_DID = "did:plc:millwatch"
_POSTS = "app.bsky.feed.post"
_TID_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"


def tid(ms: int = POSTED_MS) -> str:
    """A record key that carries the moment `ms`."""
    number = ms * 1000 << 10
    return "".join(_TID_ALPHABET[number >> 5 * place & 31] for place in reversed(range(13)))


def bluesky_address(did: str = BLUESKY_DID, key: str | None = None) -> str:
    """The address of a post, which is its id."""
    return f"at://{did}/{_POSTS}/{key or tid()}"


def bluesky_post(text: str = "Water in the lower street", **overrides: Any) -> Json:
    """A record `app.bsky.feed.post`."""
    return {"$type": _POSTS, "text": text, "createdAt": v2_time(POSTED_MS), "langs": ["en"]} | overrides


def facet(text: str, shown: str, **feature: Any) -> Json:
    """A facet of a text: a link (uri=…), a hashtag (tag=…) or a mention (did=…), shown as this part of it."""
    kind = {"uri": "link", "tag": "tag", "did": "mention"}[next(iter(feature))]
    start = len(text[: text.index(shown)].encode())
    return {
        "index": {"byteStart": start, "byteEnd": start + len(shown.encode())},
        "features": [{"$type": f"app.bsky.richtext.facet#{kind}"} | feature],
    }


def bluesky_quote(address: str) -> Json:
    """An embed that quotes a record."""
    return {"$type": "app.bsky.embed.record", "record": {"uri": address, "cid": "bafyquoted"}}


def blob(cid: str = "bafkreipicture") -> Json:
    """A file beside a record."""
    return {"$type": "blob", "ref": {"$link": cid}, "mimeType": "image/jpeg", "size": 1000}


def bluesky_commit(record: Json | None, /, **overrides: Any) -> Json:
    """What both wires of Jetstream say of a record that was created (or, with None, deleted)."""
    commit = {
        "rev": tid(POSTED_MS + 2),
        "operation": "create" if record is not None else "delete",
        "collection": _POSTS,
        "rkey": tid(),
    }
    return commit | ({"record": record, "cid": "bafyreipost"} if record is not None else {}) | overrides


def jetstream(record: Json | None, /, *, seen_ms: int = POSTED_MS + 300, seq: int = 77, **overrides: Any) -> Json:
    """A commit as Jetstream's v2 wire tells it."""
    commit = bluesky_commit(record) | {"seq": seq, "did": BLUESKY_DID, "time": v2_time(seen_ms)} | overrides
    return jetstream_message("commit", **commit)


def jetstream_message(kind: str, **payload: Any) -> Json:
    """A message of Jetstream's v2 wire."""
    return {"$type": "message", "payload": {"$type": f"network.bsky.jetstream.subscribeEvents#{kind}"} | payload}


def jetstream_v1(record: Json | None, /, *, seen_ms: int = POSTED_MS + 300, **overrides: Any) -> Json:
    """A commit as Jetstream's v1 wire tells it."""
    return {
        "did": BLUESKY_DID,
        "time_us": seen_ms * 1000,
        "kind": "commit",
        "commit": bluesky_commit(record) | overrides,
    }


def line(body: object) -> bytes:
    """The bytes of a JSON value, as on the wire."""
    return orjson.dumps(body)


def post(body: Json | bytes) -> Post:
    """The one post of a JSON object or of a line."""
    found = read(body if isinstance(body, bytes) else line(body))
    assert isinstance(found, list)
    (only,) = found
    return only


def columns(body: Json | bytes) -> dict[str, Value]:
    """Normalized values of the one post of a JSON object or of a line, by column."""
    return dict(zip([*POST_COLUMNS, *OUR_POST_COLUMNS], normalize(post(body)), strict=True))


def _with_id(overrides: Json) -> Json:
    return {"id_str": str(overrides["id"])} | overrides if "id" in overrides else overrides
