"""Indexing: posts of events in, terms by which they are found again out.

Not an agent of the role's Faust app but a consumer with a group of its own, the same in every role that does it: the
normalizers read the same topic, must not wait for this, and commit by themselves. Beside agents it rests for most of
the time while they have work in hand, so that an index that lags never makes a post late.

Offsets are committed after Cassandra has acknowledged; to read a record again changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from time import monotonic
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faust.types import TP
from mode import Service

from app.clients.indexing import Entry, IndexWriter, entry_of
from app.clients.kafka import connection, stop_consumer
from app.domain.events import Event
from app.domain.posts import Malformed
from app.domain.records import ClassifiedRecord, classified_record
from app.domain.retracting import HEADER
from app.domain.rows import Key, normalized, post_of, row_of
from app.faustapp import App
from app.roles import Role, app_id
from app.settings import Settings
from app.topics import CLASSIFIED, full_name
from tables.known_events import KnownEvents

log = logging.getLogger(__name__)
Taken: TypeAlias = dict[TopicPartition, list[ConsumerRecord]]

RECORDS = 16  # taken at once; of 64 posts they are 1,000
WRITTEN = 256  # posts, at once
SLICE = 16  # posts between which others have their turn: about 5 ms
REST = 4.0  # so many times as long as it has worked, while agents of the same process have work
POLL_MS = 500
AGAIN_SECONDS = 2.0


class Indexing(Service):
    """One of a process."""

    abstract = False
    logger = logging.getLogger("mode.indexing")

    def __init__(self, app: App, settings: Settings, events: KnownEvents, writer: IndexWriter, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._app = app
        self._settings = settings
        self._events = events
        self._writer = writer
        self._committed: dict[TP, int] = {}

    def positions(self) -> dict[TP, int]:
        """Committed offset of each partition that this process indexes; none while Kafka is away."""
        return dict(self._committed)

    @Service.task
    async def _index(self) -> None:
        await self._events.view.wait_complete()
        await self._writer.connected()
        while not self.should_stop:
            try:
                await self._read_on()
            except (KafkaError, OSError, TimeoutError) as away:
                log.warning("the index waits for Kafka", extra={"why": repr(away)})
                await self.sleep(AGAIN_SECONDS)

    async def _read_on(self) -> None:
        """Raises KafkaError, OSError, TimeoutError."""
        consumer = AIOKafkaConsumer(
            full_name(CLASSIFIED, self._settings),
            **connection(self._settings),
            group_id=app_id(Role.INDEXER, self._settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=1024 * 1024,
            session_timeout_ms=int(self._settings.session_timeout * 1000),
            heartbeat_interval_ms=int(min(3.0, self._settings.session_timeout / 3) * 1000),
            # While Cassandra is away a batch may take any time; the session tells whether the process lives.
            max_poll_interval_ms=24 * 3600 * 1000,
        )
        try:
            await consumer.start()
            while not self.should_stop:
                taken = await consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS)
                if taken:
                    await self._work_off([record for records in taken.values() for record in records])
                    await _commit(consumer, taken)
                await self._note(consumer, taken)
        finally:
            self._committed = {}
            await stop_consumer(consumer)

    async def _note(self, consumer: AIOKafkaConsumer, taken: Taken) -> None:
        """Remember how far each partition that is ours is; where nothing was taken yet, from where it begins."""
        known = self._committed | {_tp(place): records[-1].offset + 1 for place, records in taken.items()}
        owned = consumer.assignment()
        self._committed = {
            _tp(place): known[_tp(place)] if _tp(place) in known else await consumer.position(place) for place in owned
        }

    async def _work_off(self, records: list[ConsumerRecord]) -> None:
        begun = monotonic()
        entries: dict[Key, Entry] = {}  # a post that came twice, by a rematch too, is one of the index
        for record in records:
            async for entry in self._entries(record):
                entries[entry.row.key] = entry
                if len(entries) % SLICE == 0:
                    await self._give_way(begun)
                    begun = monotonic()
                if len(entries) == WRITTEN:
                    await self._write(entries)
                    entries = {}
                    begun = monotonic()
        await self._give_way(begun)
        await self._write(entries)

    async def _write(self, entries: dict[Key, Entry]) -> None:
        for entry, why in await self._writer.write_index(entries.values()):
            log.warning("not in the index", extra={"code": entry.row.code, "why": why})

    async def _give_way(self, begun: float) -> None:
        await asyncio.sleep(REST * (monotonic() - begun) if self._app.in_hand else 0)

    async def _entries(self, record: ConsumerRecord) -> AsyncIterator[Entry]:
        """What the index shall hold of a record; nothing of what the normalizers bury or pass over."""
        if HEADER in dict(record.headers):
            return  # what sources take back: the normalizers remove it from the index, too
        try:
            read = classified_record(record.key, record.value, dict(record.headers))
        except ValueError:
            return
        event = await self._events.at_least(read.code, read.version)
        if event is not None:
            for entry in _readable(event, read):
                yield entry


def _tp(place: TopicPartition) -> TP:
    return TP(place.topic, place.partition)


def _readable(event: Event, record: ClassifiedRecord) -> Iterable[Entry]:
    for line, raw in zip(record.lines, record.posts, strict=True):
        try:
            post = post_of(raw)
        except Malformed:
            continue
        yield entry_of(row_of(event, record.version, line, normalized(post), record.rematch), post)


async def _commit(consumer: AIOKafkaConsumer, taken: Taken) -> None:
    """What was indexed; what another member has by now is read there again. Raises KafkaError."""
    owned = consumer.assignment()
    done = {place: records[-1].offset + 1 for place, records in taken.items() if place in owned}
    try:
        if done:
            await consumer.commit(done)
    except (CommitFailedError, IllegalStateError) as moved:
        log.info("partitions have moved; what was indexed is indexed again", extra={"why": str(moved)})
