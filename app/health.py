"""Whether a process makes progress: commits must move while there is something to read."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from msgspec import Struct

K = TypeVar("K", bound=Hashable)


class _Seen(Struct):
    committed: int
    since: float


class Progress(Generic[K]):
    """Remembers when each partition's committed offset moved last."""

    def __init__(self, stall_seconds: float) -> None:
        self._stall = stall_seconds
        self._seen: dict[K, _Seen] = {}
        self.stalled: list[K] = []

    def look(self, positions: Mapping[K, tuple[int, int]], now: float) -> None:
        """Note (committed, end) of each assigned partition at a monotonic time in seconds.

        A partition is stalled when its committed offset is behind the end and has stood still for too long. One
        that has nothing to read is never stalled, however long it is quiet.
        """
        self._seen = {key: seen for key, seen in self._seen.items() if key in positions}
        stalled = []
        for key, (committed, end) in positions.items():
            seen = self._seen.get(key)
            if seen is None or committed != seen.committed or committed >= end:
                self._seen[key] = _Seen(committed, now)
            elif now - seen.since > self._stall:
                stalled.append(key)
        self.stalled = stalled
