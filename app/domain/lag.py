"""How far the workers are behind, by role and partition, and whose each partition is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from msgspec import Struct

from app.domain.presence import Process

Place: TypeAlias = tuple[str, int]  # topic without the prefix, partition


class Lag(Struct, frozen=True):
    """What a role has before it in a partition."""

    role: str
    topic: str  # without the prefix
    partition: int
    committed: int
    end: int
    owner: str | None  # id of the process that has it; None where nobody does

    @property
    def records(self) -> int:
        """Records that are not dealt with; one holds up to 64 posts."""
        return max(0, self.end - self.committed)


def lags(
    reads: Mapping[str, Iterable[str]],
    committed: Mapping[str, Mapping[Place, int]],
    bounds: Mapping[Place, tuple[int, int]],
    processes: Iterable[Process],
    now: int,
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
                done_to = committed.get(role, {}).get(place, first)
                found.append(Lag(role, topic, place[1], done_to, end, owners.get((role, *place))))
    return found
