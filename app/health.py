"""Whether a process makes progress: commits must move while there is something to read."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from msgspec import Struct

K = TypeVar("K", bound=Hashable)


class _Seen(Struct):
    """Where a partition stood at a moment, from which on nothing was committed."""

    committed: int
    end: int
    since: float


class Progress(Generic[K]):
    """Remembers since when each partition's first record that is not committed has waited.

    Expired records and marks of transactions leave offsets without a record, which no commit passes. Those that
    `empty` tells of are no work; a record behind them has waited since they were all that there was.
    """

    def __init__(self, stall_seconds: float) -> None:
        self._stall = stall_seconds
        self._seen: dict[K, _Seen] = {}
        self._empty: dict[K, tuple[int, int]] = {}
        self.stalled: list[K] = []

    def look(self, positions: Mapping[K, tuple[int, int]], now: float) -> None:
        """Note (committed, end) of each assigned partition at a monotonic time in seconds.

        A partition is stalled when a record has waited for too long and nothing was committed meanwhile. One that has
        nothing to read is never stalled, however long it is quiet.
        """
        self._seen = {key: seen for key, seen in self._seen.items() if key in positions}
        self._empty = {key: (at, upto) for key, (at, upto) in self._empty.items() if positions.get(key, (-1,))[0] == at}
        self.stalled = []
        for key, (committed, end) in positions.items():
            first = self._empty[key][1] if key in self._empty else committed
            seen = self._seen.get(key)
            if seen is None or seen.committed != committed or first >= min(end, seen.end):
                self._seen[key] = _Seen(committed, end, now)
            elif now - seen.since > self._stall:
                self.stalled.append(key)

    def empty(self, key: K, committed: int, upto: int) -> None:
        """Note that a partition has no record from its committed offset up to, not including, another one."""
        self._empty[key] = committed, upto
