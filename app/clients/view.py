"""A view: a compacted topic kept as a dict, by a consumer without a group.

It needs nothing but Kafka, so no other process's death makes it stale (a Faust GlobalTable was stale for 8 to 12
seconds after a kill -9 of any member of its group). Complete = it has reached the end offsets found at its start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP
from mode import Service

from app.clients.compacted import has_reached
from app.clients.kafka import connection, stop_consumer
from app.errors import Unavailable
from app.metrics import VIEW_RECORDS
from app.settings import Settings

log = logging.getLogger(__name__)
T = TypeVar("T")
_POLL_MS = 500
_WAIT_MS = 500  # that the broker waits for news: each question costs both sides, and a manager has a dozen views
WATCHED_MS = 100  # where people look on
_MAX_FETCH = 8 * 1024 * 1024


class View(Service, Generic[T]):
    """Follows a compacted topic. `items` is keyed by the record key; a tombstone removes its key."""

    abstract = False
    logger = logging.getLogger("mode.view")  # its life as a service; what it has to say itself goes to `log`

    def __init__(
        self,
        settings: Settings,
        topic: str,
        decode: Callable[[bytes], T],
        replaces: Callable[[T, T], bool] | None = None,
        wait_ms: int = _WAIT_MS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._decode = decode
        self._replaces = replaces  # whether a new value is newer than the one that stands; None: it always is
        # A broker answers one question at a time: what comes on a partition that was just read is seen when the
        # question about the others is answered, so this is also how old an entry may be.
        self._wait_ms = wait_ms
        self._consumer: AIOKafkaConsumer | None = None
        self._complete = asyncio.Event()
        self._moved = asyncio.Event()
        self.topic = topic
        self.items: dict[str, T] = {}
        self.version = 0  # grows with every change, so that a reader sees whether to look again

    @property
    def complete(self) -> bool:
        """Whether the view has everything that was there when it started."""
        return self._complete.is_set()

    async def wait_complete(self) -> None:
        """Return once the view is complete."""
        await self._complete.wait()

    async def on_start(self) -> None:
        """Connect and go to the start of the topic. Raises Unavailable."""
        consumer = AIOKafkaConsumer(
            **connection(self._settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_MAX_FETCH,
            fetch_max_wait_ms=self._wait_ms,
        )
        try:
            await consumer.start()
            partitions = consumer.partitions_for_topic(self.topic) or await _partitions(consumer, self.topic)
        except (KafkaError, OSError) as error:
            await stop_consumer(consumer)
            raise Unavailable(f"Kafka is not reachable at {self._settings.kafka} ({type(error).__name__})") from None
        if not partitions:
            await stop_consumer(consumer)
            raise Unavailable(f"Kafka has no topic {self.topic}; `starling migrate` makes it")
        consumer.assign([TopicPartition(self.topic, number) for number in partitions])
        self._consumer = consumer

    async def on_stop(self) -> None:
        """Leave Kafka."""
        if self._consumer is not None:
            await stop_consumer(self._consumer)

    @Service.task
    async def _follow(self) -> None:
        consumer = self._consumer
        assert consumer is not None  # noqa: S101 -- on_start has run
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(consumer.assignment())
        while not self.should_stop:
            if not self.complete and await has_reached(consumer, ends):
                self._complete.set()
                log.info("view complete", extra={"topic": self.topic, "entries": len(self.items)})
            batches = await consumer.getmany(timeout_ms=_POLL_MS)
            for records in batches.values():
                for record in records:
                    self._apply(record.key, record.value)
            if batches:
                self.version += 1
                VIEW_RECORDS.labels(self.topic).set(len(self.items))
                self._moved.set()

    def _apply(self, key: bytes | None, value: bytes | None) -> None:
        name = (key or b"").decode("utf-8", "replace")
        if value is None:
            self.items.pop(name, None)
            return
        try:
            decoded = self._decode(value)
            standing = self.items.get(name)
            if standing is None or self._replaces is None or self._replaces(decoded, standing):
                self.items[name] = decoded
        except ValueError as wrong:
            # Written by something else than Starling: the entry that stands is better than none.
            log.warning("unreadable record passed over", extra={"topic": self.topic, "key": name, "why": str(wrong)})

    async def ends(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """End offsets of any partitions, asked by a consumer that has nothing else to do. Raises KafkaError."""
        if self._consumer is None:
            return {}
        asked = [TopicPartition(partition.topic, partition.partition) for partition in partitions]
        ends = await self._consumer.end_offsets(asked) if asked else {}
        return {TP(partition.topic, partition.partition): end for partition, end in ends.items()}

    async def catch_up(self) -> None:
        """Return once the view has everything that is in the topic now."""
        await self.wait_complete()
        assert self._consumer is not None  # noqa: S101 -- complete
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        while not await has_reached(self._consumer, ends):
            self._moved.clear()
            try:
                await asyncio.wait_for(self._moved.wait(), 0.1)
            except TimeoutError:
                continue


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    """Partitions of a topic that the first metadata answer did not hold."""
    await consumer._client.force_metadata_update()  # aiokafka has no public way without a subscription
    await consumer.topics()
    return consumer.partitions_for_topic(topic) or set()
