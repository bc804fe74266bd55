"""What `raw_tweets` holds of late: asked when a tracker takes over, and before anything that was spooled is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.structs import RecordMetadata

from app.clients.compacted import POLL_MS, has_reached, reader
from app.settings import Settings
from app.sources.source import Fact, Source
from app.topics import RAW
from app.tracking.known import Known
from app.tracking.parcel import Parcel

# Clocks of two machines, and the time from hearing a post until it is in Kafka.
MARGIN_MS = 15_000
# Bounds what is read: 200,000 posts where a record holds five, as those of a quiet stream do.
MOST_RECORDS = 40_000
_READ_SECONDS = 60.0


class _Part:
    """What was read for one source: from when, up to where, and what stands there."""

    def __init__(self, since_ms: int, known: Known) -> None:
        self.since_ms = since_ms
        self.read: dict[TopicPartition, int] = {}
        self.known = known


class History:
    """Reads the end of `raw_tweets`; asked again, only what came since, and from others."""

    def __init__(self, settings: Settings, sources: Mapping[str, Source]) -> None:
        self._settings = settings
        self._sources = sources
        self._all: dict[str, _Part] = {}
        self._of_others: dict[str, _Part] = {}  # without what the spool has sent from here

    async def marks(self, source: str, since_ms: int) -> Iterator[int]:
        """Hashes of the keys of a source's posts that came since, the newest ones at least.

        Raises KafkaError, TimeoutError, Unavailable; asked again, it goes on where it was.
        """
        return (await self._read(self._all, source, since_ms)).posts.marks()

    async def _read(self, of: dict[str, _Part], source: str, since_ms: int) -> Known:
        part = of.get(source)
        if part is None or part.since_ms > since_ms:
            part = of[source] = _Part(since_ms, self._nothing(source))
        async with self._reader(part, since_ms) as records:
            async for record in records:
                if ("source", source.encode()) in record.headers:
                    part.known.add(record.headers, record.value or b"")
                part.read[TopicPartition(record.topic, record.partition)] = record.offset + 1
        return part.known

    def _nothing(self, source: str) -> Known:
        """Of one that is no longer listened to nobody knows how its lines are read: they are known by how they came."""
        return Known(self._sources[source].fact if source in self._sources else lambda _: Fact())

    def sent(self, places: Iterable[RecordMetadata]) -> None:
        """What the spool has sent needs no look, where nothing of others lies before it."""
        for place in sorted(places, key=lambda place: place.offset):
            for part in self._of_others.values():
                if part.read.get(place.topic_partition) == place.offset:
                    part.read[place.topic_partition] = place.offset + 1

    async def unsent(self, parcels: list[Parcel]) -> list[Parcel]:
        """The parcels without lines that are there already. Raises KafkaError, TimeoutError, Unavailable."""
        sources = [_source(parcel) for parcel in parcels]
        since: dict[str, int] = {}
        for parcel, source in zip(parcels, sources, strict=True):
            if source:
                since[source] = min(parcel.heard_ms, since.get(source, parcel.heard_ms))
        known = {source: await self._read(self._of_others, source, heard_ms) for source, heard_ms in since.items()}
        left = [
            known[source].without(parcel) if source else parcel for parcel, source in zip(parcels, sources, strict=True)
        ]
        return [parcel for parcel in left if parcel is not None]

    @asynccontextmanager
    async def _reader(self, part: _Part, since_ms: int) -> AsyncIterator[AsyncIterator[ConsumerRecord]]:
        """Records from that time, and from where it was read up to, on."""
        async with asyncio.timeout(_READ_SECONDS), reader(self._settings, RAW, from_start=False) as (consumer, ends):
            begins = await consumer.offsets_for_times(dict.fromkeys(ends, max(since_ms - MARGIN_MS, 0)))
            # What lies between is passed over: days, where little is spooled.
            part.since_ms = since_ms
            for partition, end in ends.items():
                found = begins.get(partition)
                start = max(part.read.get(partition, 0), end if found is None else found.offset)
                part.read[partition] = max(start, end - MOST_RECORDS // len(ends))
                consumer.seek(partition, part.read[partition])
            yield _records(consumer, ends)


async def _records(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> AsyncIterator[ConsumerRecord]:
    while not await has_reached(consumer, ends):
        for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
            for record in records:
                yield record


def _source(parcel: Parcel) -> str:
    """Whose lines it holds, those too that were asked for; empty where it holds none."""
    return next((text.decode() for name, text in parcel.headers if parcel.topic == RAW.name and name == "source"), "")
