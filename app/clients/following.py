"""Reads `raw_tweets` as it grows, beside the workers: no group, nothing committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from app.clients.compacted import reader
from app.clients.retained import raw_of
from app.domain.records import RawRecord
from app.settings import Settings
from app.topics import RAW

_POLL_MS = 250
_MOST_RECORDS = 64  # at once: up to 4,096 posts


class Following:
    """Reads on; `following` makes one."""

    def __init__(self, consumer: AIOKafkaConsumer, places: list[TopicPartition], patience: float) -> None:
        self._consumer = consumer
        self._places = places
        self._patience = patience

    async def take(self) -> list[RawRecord]:
        """The next records, without those of the past that an event wished to hear; after a short while none.

        Raises KafkaError.
        """
        taken = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_MOST_RECORDS)
        found = (raw_of(record) for records in taken.values() for record in records)
        return [record for record in found if not record.event]

    async def answers(self) -> bool:
        """Whether Kafka answers: where it does not, a reader is handed nothing, and no error either."""
        try:
            async with asyncio.timeout(self._patience):
                await self._consumer.end_offsets(self._places)
        except (KafkaError, OSError, TimeoutError):
            return False
        return True

    async def behind(self) -> int:
        """Records that have come and are not read, as far as the last answer told. Raises KafkaError."""
        behind = 0
        for place in self._places:
            end = self._consumer.highwater(place)
            if end is not None:
                behind += max(0, end - await self._consumer.position(place))
        return behind

    async def skip(self) -> None:
        """Go on with what comes from now on. Raises KafkaError."""
        for place, end in (await self._consumer.end_offsets(self._places)).items():
            self._consumer.seek(place, end)


@asynccontextmanager
async def following(settings: Settings, since: datetime | None = None) -> AsyncIterator[Following]:
    """A reader from a moment on, or from now. Raises Unavailable, KafkaError."""
    async with reader(settings, RAW, from_start=False) as (consumer, ends):
        if since is not None:
            found = await consumer.offsets_for_times(dict.fromkeys(ends, int(since.timestamp() * 1000)))
            for place, end in ends.items():
                at = found[place]
                consumer.seek(place, end if at is None else at.offset)
        yield Following(consumer, list(ends), settings.connect_timeout)
