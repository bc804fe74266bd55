"""What happened, in order: each post with the rules that it matched and whether it was sent, and every change of rules.

From this a test computes what must have been collected: a post that matched and was not sent was missed.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from io import BufferedWriter
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

SENT = ""


class Post(Struct, tag="post", tag_field="what", frozen=True):
    """A post arose, and was sent to one connection or not; `why` says why not.

    Of a post that several connections hear there is one entry for each.
    """

    seq: int
    at: float  # when the post arose, seconds since 1970
    wire: str
    id: str
    tags: tuple[str, ...]  # of the rules in force that it matched
    sent: bool
    connection: str = ""
    why: str = ""
    again: bool = False  # was sent before: a duplicate, backfill or replay


class RuleChange(Struct, tag="rule", tag_field="what", frozen=True):
    """A rule was added, and is in force after the delay that X is to have; or it ended."""

    seq: int
    at: float
    change: str  # rule added, rule removed
    id: str
    value: str
    tag: str


class ConnectionChange(Struct, tag="connection", tag_field="what", frozen=True):
    """A connection began, ended, or was refused."""

    seq: int
    at: float
    wire: str
    change: str  # connected, ended, refused
    connection: str
    why: str = ""


class FaultCommanded(Struct, tag="fault", tag_field="what", frozen=True):
    """A fault was asked for."""

    seq: int
    at: float
    kind: str
    wire: str


Entry: TypeAlias = Post | RuleChange | ConnectionChange | FaultCommanded


class Log:
    """The newest entries in memory, all of them as JSON lines in a file where one is named. Raises OSError."""

    def __init__(self, size: int, path: Path | None = None) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)
        self._next = 1
        self._encoder = msgspec.json.Encoder()
        self._file: BufferedWriter | None = path.open("ab") if path else None
        self.counts: Counter[str] = Counter()

    def post(
        self,
        wire: str,
        number: str,
        tags: tuple[str, ...],
        *,
        at: float | None = None,
        connection: str = "",
        why: str = SENT,
        again: bool = False,
    ) -> None:
        """A post was sent, or not: `why` is not empty then."""
        self.counts[f"{wire} {why or 'sent'}"] += 1
        sent = not why
        self._add(Post(self._next, at or time.time(), wire, number, tags, sent, connection, why, again))

    def rule(self, change: str, number: str, value: str, tag: str) -> None:
        """Rules changed."""
        self._add(RuleChange(self._next, time.time(), change, number, value, tag))

    def connection(self, wire: str, change: str, connection: str, why: str = "") -> None:
        """A connection began, ended or was refused."""
        self._add(ConnectionChange(self._next, time.time(), wire, change, connection, why))

    def fault(self, kind: str, wire: str) -> None:
        """A fault was commanded."""
        self._add(FaultCommanded(self._next, time.time(), kind, wire))

    def since(self, seq: int) -> list[Entry]:
        """Entries after this one, as far as they are remembered."""
        remembered = len(self._entries)
        skipped = max(0, seq - (self._next - 1 - remembered))
        return list(islice(self._entries, min(skipped, remembered), None))

    @property
    def last(self) -> int:
        """Number of the newest entry."""
        return self._next - 1

    def flush(self) -> None:
        """Have the file hold all of it."""
        if self._file:
            self._file.flush()

    def close(self) -> None:
        """Flush and close the file."""
        if self._file:
            self._file.close()

    def _add(self, entry: Entry) -> None:
        self._next += 1
        self._entries.append(entry)
        if self._file:
            self._file.write(self._encoder.encode(entry) + b"\n")
