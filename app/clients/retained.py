"""Reads what is kept of `raw_tweets`, from one offset to another, beside the workers: no group, nothing committed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from msgspec import Struct

from app.clients.compacted import reader
from app.clients.kafka import connection, stop_consumer
from app.domain.records import RawRecord, raw_record
from app.domain.rematch import Stretch
from app.settings import Settings
from app.topics import RAW, full_name

_POLL_MS = 500
_MAX_FETCH = 1024 * 1024  # of a partition at once, unread


class Kept(Struct, frozen=True):
    """What there is to read since a moment, by partition, and from when on where that is later."""

    stretches: dict[int, Stretch]
    since: datetime | None


async def kept_since(settings: Settings, since: datetime) -> Kept:
    """Find what is kept since a moment, up to now. Raises Unavailable, KafkaError."""
    async with reader(settings, RAW, from_start=False) as (consumer, ends):
        first = await consumer.beginning_offsets(list(ends))
        at = await consumer.offsets_for_times(dict.fromkeys(ends, int(since.timestamp() * 1000)))
        stretches: dict[int, Stretch] = {}
        cut: list[int] = []
        for place, end in ends.items():
            found = at[place]
            start = min(found.offset, end) if found is not None else end
            stretches[place.partition] = Stretch(start, start, end)
            if found is not None and 0 < first[place] == found.offset:
                cut.append(found.timestamp)  # there was something before it, which is no more
        return Kept(stretches, datetime.fromtimestamp(max(cut) / 1000, UTC) if cut else None)


def raw_of(record: ConsumerRecord) -> RawRecord:
    """A record as the consumer hands it over."""
    headers = dict(record.headers)
    return raw_record(record.topic, record.partition, record.offset, record.value, headers, record.timestamp)


class Part(Struct, frozen=True):
    """Records read together, and what of each partition has been read with them."""

    records: list[RawRecord]
    reached: dict[int, int]


class Retained:
    """Reads stretches; `retained` makes one."""

    def __init__(self, consumer: AIOKafkaConsumer, stops: dict[TopicPartition, int]) -> None:
        self._consumer = consumer
        self._stops = stops

    async def take(self, most: int) -> Part:
        """The next records, perhaps none. Raises KafkaError."""
        taken = await self._consumer.getmany(*self._stops, timeout_ms=_POLL_MS, max_records=most)
        records = [
            raw_of(record) for place, found in taken.items() for record in found if record.offset < self._stops[place]
        ]
        reached = {place: await self._consumer.position(place) for place in self._stops}
        for place in [place for place, offset in reached.items() if offset >= self._stops[place]]:
            del self._stops[place]
            self._consumer.pause(place)
        return Part(records, {place.partition: offset for place, offset in reached.items()})


@asynccontextmanager
async def retained(settings: Settings, stretches: dict[int, Stretch]) -> AsyncIterator[Retained]:
    """A reader of what is left of stretches. Raises KafkaError."""
    name = full_name(RAW, settings)
    consumer = AIOKafkaConsumer(
        **connection(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # where retention has overtaken it
        max_partition_fetch_bytes=_MAX_FETCH,
    )
    left = {TopicPartition(name, number): stretch for number, stretch in stretches.items()}
    left = {place: stretch for place, stretch in left.items() if stretch.next < stretch.stop}
    try:
        await consumer.start()
        consumer.assign(list(left))
        for place, stretch in left.items():
            consumer.seek(place, stretch.next)
        yield Retained(consumer, {place: stretch.stop for place, stretch in left.items()})
    finally:
        await stop_consumer(consumer)
