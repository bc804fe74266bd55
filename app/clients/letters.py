"""Looks at `dead_letters` from outside: how many came lately, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.clients.compacted import POLL_MS, reader
from app.settings import Settings
from app.topics import DEAD_LETTERS

_LOOKED_AT = 200  # of each partition, the newest


class Letters:
    """A look by a connection that stays open; `dead_letters` makes one."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._places: list[TopicPartition] = sorted(consumer.assignment())
        consumer.pause(*self._places)

    async def since(self, ms: int) -> int:
        """How many came since a moment (ms since 1970). Raises KafkaError."""
        ends = await self._consumer.end_offsets(self._places)
        starts = await self._consumer.offsets_for_times(dict.fromkeys(self._places, ms))
        return sum(ends[place] - at.offset for place, at in starts.items() if at is not None)

    async def reasons(self, most: int) -> list[tuple[str, int]]:
        """The commonest reasons of the newest, each with its number. Raises KafkaError."""
        consumer, found = self._consumer, Counter[str]()
        ends = await consumer.end_offsets(self._places)
        starts = await consumer.beginning_offsets(self._places)
        for place in self._places:
            begin = max(starts[place], ends[place] - _LOOKED_AT)
            if begin == ends[place]:
                continue
            consumer.seek(place, begin)
            consumer.resume(place)
            try:
                records = await consumer.getmany(place, timeout_ms=10 * POLL_MS, max_records=_LOOKED_AT)
            finally:
                consumer.pause(place)
            for record in records.get(place, ()):
                reason = dict(record.headers).get("reason") or b"unknown"
                found[reason.decode("utf-8", "replace")] += 1
        return found.most_common(most)


@asynccontextmanager
async def dead_letters(settings: Settings) -> AsyncIterator[Letters]:
    """A look at the dead letters. Raises Unavailable."""
    async with reader(settings, DEAD_LETTERS, from_start=False) as (consumer, _):
        yield Letters(consumer)
