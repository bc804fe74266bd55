"""What Bluesky's Jetstream says on its two wires, as far as the tracker has to know of a line, and how it is asked.

Source of the facts: the lexicons network.bsky.jetstream.subscribeEvents and getZstdDictionary, and the README of the
repository bluesky-social/jetstream.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct
from yarl import URL

from app.sources.source import Fact, Resume

Wire: TypeAlias = Literal["v1", "v2"]

POSTS = "app.bsky.feed.post"
SUBPROTOCOL = "xrpc.v1.json"
_MICROSECONDS = 1000  # in a millisecond
# A cursor of the v1 wire is a time; events of one moment may stand on both sides of it. Doubles are dropped by key.
_REWIND_MS = 2_000
# When a line was heard is told by our clock, which may be ahead; what was seen before may still have been on its way.
_REWIND_OUR_CLOCK_MS = 10_000
# The v1 wire does not say that it no longer has what was asked for, and on the newer one a cursor of another server may
# lie ahead: Bluesky never is without a post for so long.
_GAP_MS = 60_000


class _Commit(Struct):
    rev: str = ""
    operation: str = ""
    collection: str = ""
    rkey: str = ""
    cid: str = ""


class _EventV1(Struct):
    time_us: int
    kind: str
    did: str = ""
    commit: _Commit | None = None


class _PayloadV2(_Commit):
    type: str = msgspec.field(default="", name="$type")
    seq: int | None = None
    did: str = ""
    name: str = ""
    time: str = ""
    witnessed: str = msgspec.field(default="", name="witnessedAt")


class _FrameV2(Struct):
    type: str = msgspec.field(default="", name="$type")
    payload: _PayloadV2 | None = None
    error: str = ""
    message: str = ""


_v1 = msgspec.json.Decoder(_EventV1)
_v2 = msgspec.json.Decoder(_FrameV2)
_NOTHING = Fact()
_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)


def fact_v1(line: bytes) -> Fact:
    """Of a line of the v1 wire; the empty Fact for one that is not understood."""
    try:
        event = _v1.decode(line)
    except _UNREADABLE:
        return _NOTHING
    return Fact(
        key=_key(event.did, event.commit) if event.commit is not None else None,
        cursor=event.time_us,
        seen_ms=event.time_us // _MICROSECONDS,
    )


def fact_v2(line: bytes) -> Fact:
    """Of a line of the v2 wire; the empty Fact for one that is not understood."""
    try:
        frame = _v2.decode(line)
    except _UNREADABLE:
        return _NOTHING
    if frame.type == "error":
        return Fact(ends=f"{frame.error}: {frame.message}" if frame.message else frame.error or "an error")
    payload = frame.payload
    if payload is None:
        return _NOTHING
    return Fact(
        key=_key(payload.did, payload) if payload.type.endswith("#commit") else None,
        cursor=payload.seq,
        seen_ms=_moment(payload.witnessed or payload.time),
    )


def _key(did: str, commit: _Commit) -> str | None:
    """The post and, since an edit is the same post, the revision that made it so: the text may be an earlier one."""
    if commit.operation == "delete" or commit.collection != POSTS or not (did and commit.rkey):
        return None
    return f"at://{did}/{POSTS}/{commit.rkey} {commit.rev or commit.cid}"


def _moment(told: str) -> int | None:
    if not told:
        return None
    try:
        return int(datetime.fromisoformat(told).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def notice(line: bytes) -> str:
    """What a line tells of the cursor: OutdatedCursor, FutureCursor, or nothing ("")."""
    try:
        payload = _v2.decode(line).payload
    except _UNREADABLE:
        return ""
    return payload.name if payload is not None and payload.type.endswith("#info") else ""


def cursor_of(resume: Resume, wire: Wire) -> int | None:
    """What to ask for, to go on where the last line was; None for from now on."""
    if resume.cursor is None:
        return cursor_at(resume.heard_ms)
    return resume.cursor if wire == "v2" else max(0, resume.cursor - _REWIND_MS * _MICROSECONDS)


def cursor_at(heard_ms: int | None) -> int | None:
    """The cursor of a moment of our clock, with room for clocks that differ."""
    return None if heard_ms is None else max(0, heard_ms - _REWIND_OUR_CLOCK_MS) * _MICROSECONDS


def begins_late(seen_ms: int | None, asked_ms: int) -> bool:
    """Whether a first line is so late after what was asked for that there is a gap between."""
    return seen_ms is not None and seen_ms - asked_ms > _GAP_MS


def stream_url(base: URL, wire: Wire, cursor: int | None, dictionary: int | None = None) -> URL:
    """Where to connect, and what for: posts and, for deletions of accounts, the state of accounts."""
    asked = [("collections", POSTS), ("kinds", "commit"), ("kinds", "account")]
    if wire == "v1":
        asked = [("wantedCollections", POSTS)]
    if cursor is not None:
        asked.append(("cursor", str(cursor)))
    if dictionary is not None:
        asked.append(("zstdDictionary", str(dictionary)))
    path = "subscribe" if wire == "v1" else "xrpc/network.bsky.jetstream.subscribeEvents"
    return (base / path).with_query(asked)


def dictionary_url(base: URL) -> URL:
    """Where the dictionary is that compressed frames are made with."""
    scheme = {"ws": "http", "wss": "https"}.get(base.scheme, base.scheme)
    return base.with_scheme(scheme) / "xrpc/network.bsky.jetstream.getZstdDictionary"
