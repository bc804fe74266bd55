"""Reads windows of `raw_tweets`, wherever they lie, beside the workers: no group, nothing committed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.clients.kafka import connection, stop_consumer
from app.clients.retained import raw_of
from app.domain.records import RawRecord
from app.domain.sampling import Window
from app.settings import Settings
from app.topics import RAW, full_name

_POLL_MS = 200
_MAX_FETCH = 256 * 1024  # of a partition at once: a window is small, and what is fetched beyond it is thrown away
_FETCH_MS = 50


class Sampled:
    """Reads windows; `sampled` makes one."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, partitions: Sequence[int]) -> None:
        self._consumer = consumer
        self._topic = topic
        self._all = [TopicPartition(topic, number) for number in partitions]

    async def read(self, windows: Sequence[Window]) -> list[tuple[Window, list[RawRecord]]]:
        """The records of windows, of which each is of a partition of its own. Raises KafkaError.

        What retention has removed meanwhile is left out.
        """
        left = {TopicPartition(self._topic, window.partition): window for window in windows}
        found: dict[int, list[RawRecord]] = {window.partition: [] for window in windows}
        self._consumer.pause(*(place for place in self._all if place not in left))
        for place, window in left.items():
            self._consumer.resume(place)
            self._consumer.seek(place, window.start)
        while left:
            taken = await self._consumer.getmany(*left, timeout_ms=_POLL_MS)
            for place, records in taken.items():
                found[place.partition] += [raw_of(record) for record in records if record.offset < left[place].stop]
            for place in list(left):
                if await self._consumer.position(place) >= left[place].stop:
                    self._consumer.pause(place)
                    del left[place]
        return [(window, found[window.partition]) for window in windows]


@asynccontextmanager
async def sampled(settings: Settings, partitions: Sequence[int]) -> AsyncIterator[Sampled]:
    """A reader of some partitions, at least one. Raises KafkaError."""
    name = full_name(RAW, settings)
    consumer = AIOKafkaConsumer(
        **connection(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # where retention has overtaken it
        max_partition_fetch_bytes=_MAX_FETCH,
        fetch_max_wait_ms=_FETCH_MS,
    )
    try:
        await consumer.start()
        consumer.assign([TopicPartition(name, number) for number in partitions])
        yield Sampled(consumer, name, partitions)
    finally:
        await stop_consumer(consumer)
