"""Reads a line of a stream: one post or several, a control message, or neither.

Knows the wire forms v1.1 (streaming, compat and extended; REST `full_text`; search answers and timelines) and
X API v2 (`data` object or list with `includes`; flattened by twarc); `posts_bluesky` knows those of Bluesky's
Jetstream. A v2 or list line that holds several posts is cut into payloads of one post each, since what is stored
beside a post is that post's own JSON.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import orjson

from app.domain.fields import record, records
from app.domain.moments import in_range, moment
from app.domain.partitioning import time_in_id
from app.domain.posts_bluesky import created_bluesky_ms, is_jetstream, read_jetstream
from app.domain.rules import code_of_tag
from app.domain.wires import MAX_ID, Control, Json, Malformed, Post, Wire

__all__ = ["CONTROL_KEYS", "Control", "Json", "Malformed", "Post", "Wire", "created_ms", "read"]

# v1.1 streaming message types that are no posts (docs "Streaming message types"), and v2's operational messages.
CONTROL_KEYS = (
    "delete",
    "scrub_geo",
    "limit",
    "status_withheld",
    "user_withheld",
    "compliance",  # ours: what X has answered to a question about compliance (app.domain.retracting)
    "disconnect",
    "warning",
    "event",
    "friends",
    "friends_str",
    "for_user",
    "control",
    "sites",
    "errors",
    "meta",
)
_V2_MARKS = ("author_id", "edit_history_tweet_ids", "public_metrics", "referenced_tweets")


def read(line: bytes) -> list[Post] | Control:
    """Posts of a line (mostly one), or the control message that it is; a blank line is Control "keep_alive".

    Raises Malformed, and for no bytes anything else. One bad post of a list condemns its whole line: the dead letter
    then holds all of it, so nothing is lost.
    """
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        if not line.strip():
            return Control("keep_alive", {})
        body = _mended(line, str(error))
    if type(body) is dict:
        return [_single(body, line)] if "text" in body or "full_text" in body else _wrapped(body, line)
    if type(body) is not list:
        raise Malformed(f"JSON, but {type(body).__name__} where an object should be")
    if not body:
        raise Malformed("a list that holds no posts")
    return _listed(body)


def created_ms(post: Post) -> int | None:
    """When the post was made, in milliseconds since 1970 UTC: `created_at`, else `timestamp_ms`, else the id's time.

    Of Bluesky's posts see `created_bluesky_ms`.
    """
    body = post.body
    at = moment(body.get("created_at"))
    if at is not None:
        return at
    if post.wire == "bluesky":
        return created_bluesky_ms(post)
    stamp = body.get("timestamp_ms")
    if type(stamp) is str and len(stamp) < 20 and stamp.isascii() and stamp.isdigit():
        stamp = int(stamp)
    at = in_range(stamp) if type(stamp) is int else None
    return at if at is not None else time_in_id(post.id)


def _mended(line: bytes, error: str) -> Any:
    """JSON of a source that cut a text inside a surrogate pair: the half that is left becomes U+FFFD."""
    if b"\\ud" not in line and b"\\uD" not in line:
        raise Malformed(f"not JSON: {error}")
    try:
        text = json.dumps(json.loads(line.decode()), ensure_ascii=False)
        return orjson.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        raise Malformed(f"not JSON: {error}") from None


def _wrapped(body: Json, line: bytes) -> list[Post] | Control:
    data = body.get("data")
    if type(data) is dict or type(data) is list:
        return _v2(data, body.get("includes"), line, body.get("matching_rules"))
    if type(statuses := body.get("statuses")) is list:
        return _listed(statuses)
    for kind in CONTROL_KEYS:
        if kind in body:
            return Control(kind, body)
    if is_jetstream(body):
        return read_jetstream(body, line)
    raise Malformed("an object that is neither a post nor a known control message")


def _listed(items: list[object]) -> list[Post]:
    found = []
    for item in items:
        if type(item) is not dict:
            raise Malformed("a list that holds other things than posts")
        found.append(_single(item, _payload(item)))
    return found


def _payload(body: Json) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:  # orjson reads 1,024 levels, but writes 254
        raise Malformed("a post of a list that is nested too deep to be cut out") from None


def _single(body: Json, raw: bytes) -> Post:
    if "user" not in body and any(mark in body for mark in _V2_MARKS):
        return Post(_v2_id(body), "v2", body, _inlined(body), raw)
    if type(body.get("text")) is not str and type(body.get("full_text")) is not str:
        extended = body.get("extended_tweet")
        if type(extended) is not dict or type(extended.get("full_text")) is not str:
            raise Malformed("a v1.1 status without a text")
    return Post(_id(body), "v1", body, {}, raw)


def _id(body: Json) -> str:
    """`id_str` before `id`: JavaScript tools round the number."""
    for value in (body.get("id_str"), body.get("id")):
        if type(value) is int and value > 0:
            return str(value)
        if type(value) is str and 0 < len(value) <= MAX_ID and value.isprintable() and " " not in value:
            return value
    raise Malformed("a post without an id")


def _v2_id(body: Json) -> str:
    if type(body.get("text")) is not str:
        raise Malformed("a v2 post without a text")
    return _id(body)


Includes: TypeAlias = dict[str, dict[str, Json]]
_DEEPEST = 3  # the post, one that it retweets, and one that this quotes
_INCLUDED = (("users", "id"), ("tweets", "id"), ("media", "media_key"), ("places", "id"))


def _v2(data: object, given: object, line: bytes, rules: object) -> list[Post]:
    expansions = record(given)
    includes = {kind: _by_key(expansions.get(kind), key) for kind, key in _INCLUDED}
    if type(data) is dict:
        return [Post(_v2_id(data), "v2", data, _joined(includes, _inlined(data)), line, _tags(rules))]
    if type(data) is not list or not all(type(item) is dict for item in data):
        raise Malformed("v2 data that holds other things than posts")
    return [_cut(item, includes) for item in data]


def _tags(rules: object) -> tuple[str, ...]:
    """Events that the stream's `matching_rules` name."""
    return tuple({code: None for rule in records(rules) if (code := code_of_tag(rule.get("tag"))) is not None})


def _cut(body: Json, includes: Includes) -> Post:
    """One post of a v2 list as a payload of its own, with the expansions that it refers to."""
    post_id = _v2_id(body)
    own: Includes = {kind: {} for kind, _ in _INCLUDED}
    layer = [body]
    for _ in range(_DEEPEST):
        known = set(own["tweets"])
        for item in layer:
            _refer(item, includes, own)
        layer = [item for name, item in own["tweets"].items() if name not in known]
    payload: Json = {"data": body}
    if listed := {kind: list(items.values()) for kind, items in own.items() if items}:
        payload["includes"] = listed
    return Post(post_id, "v2", body, _joined(own, _inlined(body)), _payload(payload))


def _refer(body: Json, includes: Includes, own: Includes) -> None:
    def take(kind: str, key: object) -> None:
        name = _key(key)
        if name is not None and (item := includes[kind].get(name)) is not None:
            own[kind][name] = item

    take("users", body.get("author_id"))
    take("users", body.get("in_reply_to_user_id"))
    for reference in records(body.get("referenced_tweets")):
        take("tweets", reference.get("id"))
    keys = record(body.get("attachments")).get("media_keys")
    for key in keys if type(keys) is list else ():
        take("media", key)
    take("places", record(body.get("geo")).get("place_id"))
    for part in (body, record(body.get("note_tweet"))):
        for mention in records(record(part.get("entities")).get("mentions")):
            take("users", mention.get("id"))


def _inlined(body: Json) -> Includes:
    """Expansions that twarc's flattening has put inside the post and the posts that it refers to."""
    includes: Includes = {kind: {} for kind, _ in _INCLUDED}
    references = [item for item in records(body.get("referenced_tweets")) if "text" in item]
    includes["tweets"] = _by_key(references, "id")
    for part in (body, *references):
        includes["users"] |= _by_key([part.get("author"), part.get("in_reply_to_user")], "id")
        includes["media"] |= _by_key(record(part.get("attachments")).get("media"), "media_key")
        includes["places"] |= _by_key([part.get("geo")], "place_id")
    return includes


def _by_key(items: object, key: str) -> dict[str, Json]:
    return {name: item for item in records(items) if (name := _key(item.get(key))) is not None}


def _key(value: object) -> str | None:
    return value if type(value) is str else str(value) if type(value) is int else None


def _joined(given: Includes, inlined: Includes) -> Includes:
    return {kind: inlined[kind] | given[kind] for kind, _ in _INCLUDED}
