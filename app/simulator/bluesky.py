"""Generated posts as Jetstream events, in the older wire's form and without the times that the server gives."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson

from app.generator import times
from app.generator.drafts import Draft
from app.generator.parts import plain

_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"  # base 32 that sorts as numbers do
_SHAPE = "abcdefghijklmnopqrstuvwxyz234567"
POSTS = "app.bsky.feed.post"


def line(draft: Draft) -> bytes:
    """The creation of a post that says what the draft says; retweets and quotes become plain posts."""
    said = (draft.retweeted or draft).parts
    record: dict[str, Any] = {
        "$type": POSTS,
        "createdAt": times.v2(draft.at_ms),
        "langs": [draft.lang],
        "text": plain(said)[:300],
    }
    key = tid(draft.at_ms * 1000, draft.id)
    commit = {
        "rev": key,
        "operation": "create",
        "collection": POSTS,
        "rkey": key,
        "record": record,
        "cid": f"bafyrei{_shaped(f'{draft.id}', 52)}",
    }
    return orjson.dumps({"did": did(draft.author.id), "kind": "commit", "commit": commit})


def did(account: str) -> str:
    """The account's address, always the same."""
    return f"did:plc:{_shaped(account, 24)}"


def tid(at_us: int, clock: int) -> str:
    """A record key: microseconds since 1970 and 10 bits of a clock's number, in 13 digits."""
    number = at_us << 10 | clock & 1023
    return "".join(_DIGITS[number >> shift & 31] for shift in range(60, -1, -5))


def _shaped(text: str, length: int) -> str:
    number = int.from_bytes(sha256(text.encode()).digest() * 2)
    return "".join(_SHAPE[number >> shift & 31] for shift in range(0, 5 * length, 5))
