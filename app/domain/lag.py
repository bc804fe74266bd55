"""How far the workers are behind, by role and partition, and whose each partition is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from msgspec import Struct

from app.domain.presence import Process

Place: TypeAlias = tuple[str, int]  # topic without the prefix, partition
MOST_SEEN = 600  # times at which an end was seen; at a look each two seconds, 20 minutes of them exactly


class Lag(Struct, frozen=True):
    """What a role has before it in a partition."""

    role: str
    topic: str  # without the prefix
    partition: int
    committed: int
    end: int
    owner: str | None  # id of the process that has it; None where nobody does
    seconds: float = 0.0  # for which the oldest of these records has waited, as far as it was watched

    @property
    def records(self) -> int:
        """Records that are not dealt with; one holds up to 64 posts."""
        return max(0, self.end - self.committed)


class Waits:
    """How long the first record that is not dealt with has waited: since its partition was first seen to hold it.

    By what was seen, not by the records' own times: an imported post of last year does not make its reader late.
    """

    def __init__(self) -> None:
        self._ends: dict[Place, list[tuple[int, int]]] = {}  # when (ms) the end offset was first seen, oldest first

    def look(self, bounds: Mapping[Place, tuple[int, int]], now: int) -> None:
        """Note the first and end offset of each partition, at a time in milliseconds."""
        for place, (_, end) in bounds.items():
            seen = self._ends.setdefault(place, [])
            if seen and end < seen[-1][1]:
                seen.clear()  # the topic was made anew
            if not seen or end > seen[-1][1]:
                seen.append((now, end))
            if len(seen) > MOST_SEEN:
                del seen[1:-1:2]  # the oldest stays exact, what is between gets coarser

    def seconds(self, place: Place, committed: int, now: int) -> float:
        """How long the record at an offset has waited; 0 where there is none."""
        for at, end in self._ends.get(place, ()):
            if end > committed:
                return max(0, now - at) / 1000
        return 0.0

    def forget(self, done: Mapping[Place, int]) -> None:
        """Drop what everybody is past: the offsets up to which all readers have committed."""
        for place, offset in done.items():
            seen = self._ends.get(place, [])
            while len(seen) > 1 and seen[0][1] <= offset:
                del seen[0]


def lags(
    reads: Mapping[str, Iterable[str]],
    committed: Mapping[str, Mapping[Place, int]],
    bounds: Mapping[Place, tuple[int, int]],
    processes: Iterable[Process],
    now: int,
    waits: Waits | None = None,
) -> list[Lag]:
    """The lag of each role in each partition of what it reads. `bounds`: first and end offset of each partition.

    Of several roles that read a topic those count that have a live process; where none has, the one that is farthest.
    """
    alive = [one for one in processes if not one.silent(now)]
    owners = {
        (one.role, topic, number): one.id
        for one in alive
        for topic, numbers in one.partitions.items()
        for number in numbers
    }
    found = []
    for topic in dict.fromkeys(topic for topics in reads.values() for topic in topics):
        places = sorted(place for place in bounds if place[0] == topic)
        roles = [role for role, topics in reads.items() if topic in topics]
        present = [role for role in roles if any(one.role == role for one in alive)]
        if not present:
            done = {role: sum(committed.get(role, {}).get(place, 0) for place in places) for role in roles}
            present = [max(roles, key=lambda role: done[role])]
        for role in present:
            for place in places:
                first, end = bounds[place]
                done_to = max(first, committed.get(role, {}).get(place, first))  # what has expired waits no more
                waited = waits.seconds(place, done_to, now) if waits is not None else 0.0
                found.append(Lag(role, topic, place[1], done_to, end, owners.get((role, *place)), waited))
    return found


def unread(found: Iterable[Lag]) -> dict[str, int]:
    """Records before each role."""
    counts: dict[str, int] = {}
    for lag in found:
        counts[lag.role] = counts.get(lag.role, 0) + lag.records
    return counts


def behind(found: Iterable[Lag], reads: Mapping[str, Iterable[str]]) -> dict[str, float]:
    """Seconds that each role is behind, or would be if it began now: those of the partition that is farthest.

    A role of which there is no process yet has before it what those have that read the same.
    """
    found = list(found)
    seconds: dict[str, float] = {}
    for role, topics in reads.items():
        before = [lag for lag in found if lag.topic in topics]
        own = [lag for lag in before if lag.role == role]
        if before:
            seconds[role] = max(lag.seconds for lag in own or before)
    return seconds
