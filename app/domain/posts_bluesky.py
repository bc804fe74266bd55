"""Reads a message of Bluesky's Jetstream, of either wire: a post, or what else happened.

v2 (`subscribeEvents`): `{"$type": "message", "payload": {"$type": "…#commit", …}}`; v1 (`subscribe`): `{"did": …,
"time_us": …, "kind": "commit", "commit": {…}}`. A post is a record that was created or updated; an update is the same
post again.
"""

from __future__ import annotations

import re

from app.domain.fields import record, text
from app.domain.moments import in_range, moment
from app.domain.partitioning import time_in_id
from app.domain.wires import MAX_ID, Control, Json, Malformed, Post

POSTS = "app.bsky.feed.post"
_OTHER_KINDS = ("account", "identity", "sync", "info", "error")
_ADDRESS = re.compile(rf"at://did:[a-z]+:[A-Za-z0-9._:%-]+/{re.escape(POSTS)}/[A-Za-z0-9._:~-]+")
# A post of an archive that was carried over bears its old date. Older than the first tweet is nobody's archive.
_FIRST_MS = 1_142_899_200_000  # 2006-03-21


def is_jetstream(body: Json) -> bool:
    """Whether an object that is no post of another wire is a message of Jetstream."""
    return "$type" in body or "time_us" in body


def read_jetstream(body: Json, line: bytes) -> list[Post] | Control:
    """The post of a message, or the control message that it is; its kind says what it tells. Raises Malformed."""
    frame = body.get("$type")
    message = record(body.get("payload")) if frame == "message" else body
    kind = message.get("kind") if frame is None else str(message.get("$type")).rpartition("#")[2]
    if kind == "commit":
        return _committed(message if frame is not None else _flat(body), line)
    if kind in _OTHER_KINDS:
        return Control(kind, body)
    raise Malformed("a Jetstream message of a kind that is not known")


def created_bluesky_ms(post: Post) -> int | None:
    """When the post was made, in milliseconds since 1970 UTC: as its author's program says, where that can be.

    Not later than Jetstream saw it and not before there was anything to carry over; else when Jetstream saw it, else
    the time in its id.
    """
    body = post.body
    seen = moment(body.get("witnessedAt"))
    if seen is None:
        seen = moment(body.get("time"))
    if seen is None and type(stamp := body.get("time_us")) is int:
        seen = in_range(stamp // 1000)
    told = moment(record(body.get("record")).get("createdAt"))
    if told is not None and told >= _FIRST_MS and (seen is None or told <= seen):
        return told
    return seen if seen is not None else time_in_id(post.id)


def _flat(body: Json) -> Json:
    """A commit of the v1 wire in the form of the v2 wire: with its account and time beside the rest."""
    return record(body.get("commit")) | {name: body[name] for name in ("did", "time_us") if name in body}


def _committed(commit: Json, line: bytes) -> list[Post] | Control:
    operation = commit.get("operation")
    if operation not in ("create", "update", "delete"):
        raise Malformed("a Bluesky commit without an operation")
    if commit.get("collection") != POSTS:
        return Control("other_collection", commit)
    if operation == "delete":
        return Control("delete", commit)
    if type(record(commit.get("record")).get("text")) is not str:
        raise Malformed("a Bluesky post without a text")
    address = f"at://{text(commit.get('did')) or ''}/{POSTS}/{text(commit.get('rkey')) or ''}"
    if len(address) > MAX_ID or not _ADDRESS.fullmatch(address):
        raise Malformed("a Bluesky post without an account or key")
    return [Post(address, "bluesky", commit, {}, line)]
