"""Puts lines into records of `raw_tweets`."""

from __future__ import annotations

from typing import NamedTuple

from app.replay.lines import LINE_LIMIT, Place

# Of 64 posts of 4 kB a quarter; only a single longer line makes a record longer.
RECORD_BYTES = 1024 * 1024


class Record(NamedTuple):
    """Lines to send together, and where the file stands after them."""

    value: bytes
    lines: int
    end: Place
    since: float  # when its first line came


class Packer:
    """Collects lines until a record is full; `due` says when what is collected must go anyway."""

    def __init__(self, most: int, linger: float) -> None:
        self._most = most
        self._linger = linger
        self._lines: list[bytes] = []
        self._size = 0
        self._since = 0.0
        self._end = Place()

    @property
    def due(self) -> float | None:
        """When the lines at hand have waited long enough; None without any."""
        return self._since + self._linger if self._lines else None

    def add(self, line: bytes, end: Place, now: float) -> list[Record]:
        """Add a line; the records that became full by it, mostly none."""
        full = []
        if self._lines and self._size + len(line) >= min(RECORD_BYTES, LINE_LIMIT):
            full.append(self._record())
        if not self._lines:
            self._since = now
        self._lines.append(line)
        self._size += len(line) + 1
        self._end = end
        if len(self._lines) >= self._most:
            full.append(self._record())
        return full

    def take(self, now: float | None = None) -> list[Record]:
        """The record at hand, if there is one and (where a time is given) it is due."""
        due = self.due
        return [self._record()] if due is not None and (now is None or due <= now) else []

    def _record(self) -> Record:
        record = Record(b"\n".join(self._lines), len(self._lines), self._end, self._since)
        self._lines, self._size = [], 0
        return record
