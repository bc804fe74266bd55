"""What came out of each raw partition: posts, control messages, malformed lines. The proof that every line is known.

One entry a raw partition; records at or below its offset were counted, so one that is read again changes nothing.
"""

from __future__ import annotations

import faust
import msgspec
from faust.types import TP

from app.domain.classify import Intake
from app.metrics import CONTROL_MESSAGES, POSTS_MATCHED, POSTS_PLATFORM_ONLY, POSTS_READ
from app.roles import INTAKE
from tables.changelog import put, table

_decode = msgspec.json.Decoder(Intake).decode


class IntakeTable:
    """Counts by raw partition."""

    def __init__(self, app: faust.App, topic: str, partitions: int) -> None:
        self._table = table(app, INTAKE, partitions)
        self._topic = topic

    async def count(self, counted: dict[int, list[Intake]]) -> list[tuple[TP, str, bytes]]:
        """Add what records held; returns the changed entries as partition, key and value."""
        changed = []
        for partition, records in counted.items():
            total = self._entry(partition)
            new = [record for record in records if total.count(record)]
            for record in new:
                _measure(record)
            if new:
                changed.append((partition, str(partition), msgspec.json.encode(total)))
        await put(self._table, changed)
        return [(TP(self._topic, partition), f"*|{key}", value) for partition, key, value in changed]

    def entries(self, partition: TP) -> list[tuple[TP, str, bytes]]:
        """All entries of a partition, in the form of `count`."""
        value = self._table.data.get(str(partition.partition)) if partition.topic == self._topic else None
        return [(partition, f"*|{partition.partition}", value)] if value else []

    def _entry(self, partition: int) -> Intake:
        value = self._table.data.get(str(partition))
        return _decode(value) if value else Intake()


def _measure(record: Intake) -> None:
    POSTS_READ.inc(record.posts)
    POSTS_MATCHED.inc(record.matched)
    POSTS_PLATFORM_ONLY.inc(sum(record.platform_only.values()))
    for kind, count in record.control.items():
        CONTROL_MESSAGES.labels(kind).inc(count)
