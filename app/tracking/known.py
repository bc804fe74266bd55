"""Which lines stand in `raw_tweets`, so that none is sent there twice.

A post that was heard is known by its id, whoever has sent it. A line without one, and one that was asked for of the
past (its post may rightly come by another way, too), is known by how it came: only what came by the same connection at
the same moment, and says the same, is the same line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from app.sources.source import Fact
from app.tracking.parcel import Parcel
from app.tracking.recent import Recent

MOST_POSTS = 500_000  # in each of two halves
# The same. A file of the spool and what was on its way before it, 24 MB in all, hold about 50,000.
MOST_LINES = 100_000


class Known:
    """The lines of one source; `fact` says how they are read."""

    def __init__(self, fact: Callable[[bytes], Fact]) -> None:
        self._fact = fact
        self.posts = Recent(MOST_POSTS)
        self._lines = Recent(MOST_LINES)

    def add(self, headers: Iterable[tuple[str, bytes]], value: bytes) -> None:
        """A record stands there."""
        told = dict(headers)
        for line in value.split(b"\n"):
            # What was asked for by an event's wish is that event's alone: it is to be heard for all others.
            key = None if "event" in told else self._fact(line).key
            if key is not None:
                self.posts.repeats(key)
            if key is None or told.get("origin") != b"live":
                self._lines.repeats(_came(told, line))

    def without(self, parcel: Parcel) -> Parcel | None:
        """What of a parcel does not stand there."""
        told, lines = dict(parcel.headers), parcel.value.split(b"\n")
        new = [line for line in lines if not self._has(told, line, self._fact(line).key if parcel.source else None)]
        if len(new) == len(lines):
            return parcel
        return msgspec.structs.replace(parcel, value=b"\n".join(new), posts=len(new)) if new else None

    def _has(self, told: dict[str, bytes], line: bytes, key: str | None) -> bool:
        return _came(told, line) in self._lines if key is None else key in self.posts


def _came(told: dict[str, bytes], line: bytes) -> tuple[bytes | None, bytes | None, bytes]:
    return told.get("connection"), told.get("received_at"), line
