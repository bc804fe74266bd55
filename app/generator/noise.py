"""What else comes down a stream: messages about the stream itself, and lines that are broken."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import orjson

from app.generator import times

# Of 100 control messages about so many are of each kind.
_CONTROLS = (
    *("delete",) * 60,
    *("limit",) * 12,
    *("keep_alive",) * 15,
    *("scrub_geo",) * 4,
    *("status_withheld",) * 4,
    *("user_withheld",) * 2,
    *("warning",) * 2,
    "disconnect",
)


def control(rng: Random, at_ms: int, sequence: int) -> tuple[str, bytes]:
    """A control message: its kind and its line."""
    kind = rng.choice(_CONTROLS)
    if kind == "keep_alive":
        return kind, b""
    number = times.snowflake(at_ms - rng.randrange(10**9), sequence)
    user = rng.randrange(10**9)
    bodies = {
        "delete": {
            "status": {"id": number, "id_str": str(number), "user_id": user, "user_id_str": str(user)},
            "timestamp_ms": str(at_ms),
        },
        "limit": {"track": sequence, "timestamp_ms": str(at_ms)},
        "scrub_geo": {"user_id": user, "user_id_str": str(user), "up_to_status_id": number},
        "status_withheld": {"id": number, "user_id": user, "withheld_in_countries": ["XX"]},
        "user_withheld": {"id": user, "withheld_in_countries": ["XX", "XY"]},
        "warning": {"code": "FALLING_BEHIND", "message": "Your connection is falling behind", "percent_full": 60},
        "disconnect": {"code": 4, "stream_name": "demo", "reason": "stall"},
    }
    return kind, orjson.dumps({kind: bodies[kind]})


def _cut(line: bytes, rng: Random) -> bytes:
    """A line of which the end never came."""
    return line[: rng.randrange(len(line) // 3, len(line) - 1)]


def _not_utf8(line: bytes, rng: Random) -> bytes:
    middle = line.index(b'"', rng.randrange(1, len(line) // 2))
    return line[: middle + 1] + b"\xff\xfe" + line[middle + 1 :]


def _two_in_one(line: bytes, _: Random) -> bytes:
    """Two posts of which the line end between was lost."""
    return line + line


def _no_id(line: bytes, _: Random) -> bytes:
    body = orjson.loads(line)
    return orjson.dumps({key: value for key, value in body.items() if key not in ("id", "id_str")})


def _no_text(line: bytes, _: Random) -> bytes:
    body = orjson.loads(line)
    return orjson.dumps({key: value for key, value in body.items() if "text" not in key and key != "extended_tweet"})


def _in_a_list(line: bytes, rng: Random) -> bytes:
    return b"[" + line + b',"%d"]' % rng.randrange(10**9)


def _string(_: bytes, rng: Random) -> bytes:
    return b'"upstream connect error %d"' % rng.randrange(10**9)


def _page(_: bytes, rng: Random) -> bytes:
    return b"<html><body>503 Service Unavailable, request %d</body></html>" % rng.randrange(10**9)


def _stranger(_: bytes, rng: Random) -> bytes:
    return orjson.dumps({"status": 503, "request": rng.randrange(10**9)})


_BREAK: dict[str, Callable[[bytes, Random], bytes]] = {
    "cut": _cut,
    "not UTF-8": _not_utf8,
    "two in one": _two_in_one,
    "no id": _no_id,
    "no text": _no_text,
    "in a list": _in_a_list,
    "string": _string,
    "page": _page,
    "stranger": _stranger,
}


def malformed(rng: Random, line: bytes) -> tuple[str, bytes]:
    """A broken line, made of a good one (v1.1, of a plain post): what is wrong with it, and its bytes."""
    wrong = rng.choice(tuple(_BREAK))
    return wrong, _BREAK[wrong](line, rng)
