"""What `raw_tweets` holds of late: asked when a tracker takes over, and before anything that was spooled is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from app.clients.compacted import POLL_MS, has_reached, reader
from app.settings import Settings
from app.sources.source import Source
from app.topics import RAW
from app.tracking.parcel import Parcel

# Clocks of two machines, and the time from hearing a post until it is in Kafka.
MARGIN_MS = 15_000
# Bounds what is read: 200,000 posts where a record holds five, as those of a quiet stream do.
MOST_RECORDS = 40_000
MOST_MARKS = 1_000_000
_READ_SECONDS = 60.0


class _Known(NamedTuple):
    """What was read for one source: from when, up to where, and the hashes of its posts' keys."""

    since_ms: int
    ends: dict[TopicPartition, int]
    marks: set[int]


class History:
    """Reads the end of `raw_tweets`; asked again, only what came since."""

    def __init__(self, settings: Settings, sources: Mapping[str, Source]) -> None:
        self._settings = settings
        self._sources = sources
        self._known: dict[str, _Known] = {}

    async def marks(self, source: str, since_ms: int) -> set[int]:
        """Hashes of the keys of a source's posts that came since, the newest ones at least.

        Raises KafkaError, TimeoutError, Unavailable.
        """
        known = self._known.get(source)
        if known is None or known.since_ms > since_ms or len(known.marks) > MOST_MARKS:
            known = _Known(since_ms, {}, set())
        ends = dict(known.ends)
        fact = self._sources[source].fact
        async with self._reader(since_ms - MARGIN_MS, ends) as records:
            async for record in records:
                if dict(record.headers).get("source") == source.encode():
                    keys = (fact(line).key for line in (record.value or b"").split(b"\n"))
                    known.marks.update(hash(key) for key in keys if key is not None)
        self._known[source] = known._replace(ends=ends)
        return known.marks

    async def unsent(self, parcels: list[Parcel]) -> list[Parcel]:
        """The parcels without posts that are there already. Raises KafkaError, TimeoutError, Unavailable."""
        since: dict[str, int] = {}
        for parcel in parcels:
            if parcel.source in self._sources:
                since[parcel.source] = min(parcel.heard_ms, since.get(parcel.source, parcel.heard_ms))
        known = {source: await self.marks(source, heard_ms) for source, heard_ms in since.items()}
        left = []
        for parcel in parcels:
            left += self._without(parcel, known[parcel.source]) if parcel.source in known else [parcel]
        return left

    def _without(self, parcel: Parcel, known: set[int]) -> list[Parcel]:
        fact = self._sources[parcel.source].fact
        lines = parcel.value.split(b"\n")
        new = [line for line in lines if (key := fact(line).key) is None or hash(key) not in known]
        if len(new) == len(lines):
            return [parcel]
        return [msgspec.structs.replace(parcel, value=b"\n".join(new), posts=len(new))] if new else []

    @asynccontextmanager
    async def _reader(
        self, since_ms: int, read: dict[TopicPartition, int]
    ) -> AsyncIterator[AsyncIterator[ConsumerRecord]]:
        """Records from the given offsets, else from that time; `read` is where they end."""
        async with asyncio.timeout(_READ_SECONDS), reader(self._settings, RAW, from_start=False) as (consumer, ends):
            begins = await consumer.offsets_for_times(dict.fromkeys(ends, max(since_ms, 0)))
            for partition, end in ends.items():
                found = begins.get(partition)
                start = read.get(partition, end if found is None else found.offset)
                consumer.seek(partition, max(start, end - MOST_RECORDS // len(ends)))
            yield _records(consumer, ends)
            read.update(ends)


async def _records(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> AsyncIterator[ConsumerRecord]:
    while not await has_reached(consumer, ends):
        for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
            for record in records:
                yield record
