"""Looks every two seconds how far each group is, by connections that stay open; whether Kafka answers, too."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from mode import Service

from app import roles
from app.clients.kafka import admin, committed_offsets, connection, stop_consumer, unreachable
from app.domain.lag import Lag, Place, Waits, behind, lags
from app.domain.presence import Process
from app.domain.reach import Reach
from app.errors import Unavailable
from app.roles import Role, app_id
from app.settings import Settings
from app.topics import CLASSIFIED, RAW

_SECONDS = 2.0
_POSTS = (RAW.name, CLASSIFIED.name)
READS = {role.value: [topic.name for topic in roles.tables(role).values()] for role in Role if roles.tables(role)}
# A group of its own beside those that do the work: that the index lags makes nobody else late.
INDEXES = {Role.INDEXER.value: [CLASSIFIED.name]}


class Lags(Service):
    """How it was when Kafka last answered. `processes` tells who is there."""

    abstract = False
    logger = logging.getLogger("mode.lags")

    def __init__(self, settings: Settings, processes: Callable[[], Iterable[Process]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._processes = processes
        self._waits = Waits()
        self.found: list[Lag] = []
        self.index: list[Lag] = []
        self.reach = Reach()

    @property
    def of_posts(self) -> list[Lag] | None:
        """Those of topics of posts; None while Kafka does not say."""
        return [lag for lag in self.found if lag.topic in _POSTS] or None if self.reach.up else None

    @property
    def behind(self) -> dict[str, float] | None:
        """Seconds that each role that reads posts is behind; None while Kafka does not say."""
        posts = self.of_posts
        return None if posts is None else behind(posts, READS) | behind(self.index, INDEXES)

    @property
    def unindexed(self) -> int | None:
        """Classified records that are not indexed yet; None while Kafka does not say."""
        return sum(lag.records for lag in self.index) if self.reach.up else None

    @Service.task
    async def _look(self) -> None:
        while not self.should_stop:
            try:
                await self._look_on()
            except (KafkaError, Unavailable, OSError, TimeoutError) as error:
                self.reach = self.reach.asked(_now_ms(), type(error).__name__)
                await self.sleep(_SECONDS)

    async def now(self) -> list[Lag] | None:
        """Those of topics of posts, by one look; for who does not run this service. Raises Unavailable."""
        try:
            async with self._connected() as look:
                await look()
        except (KafkaError, OSError, TimeoutError) as error:
            raise unreachable(self._settings, error) from None
        return self.of_posts

    async def _look_on(self) -> None:
        """Raises KafkaError, Unavailable, OSError, TimeoutError."""
        async with self._connected() as look:
            while not self.should_stop:
                await look()
                await self.sleep(_SECONDS)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        consumer = AIOKafkaConsumer(**connection(self._settings), enable_auto_commit=False)
        try:
            await consumer.start()
            async with admin(self._settings) as client:
                yield partial(self._once, consumer, client)
        finally:
            await stop_consumer(consumer)

    async def _once(self, consumer: AIOKafkaConsumer, client: AIOKafkaAdminClient) -> None:
        names = {name: self._settings.topic_prefix + name for topics in READS.values() for name in topics}
        await consumer._client.force_metadata_update()  # there is no public way without a subscription
        places = {
            TopicPartition(name, number): (short, number)
            for short, name in names.items()
            for number in consumer.partitions_for_topic(name) or ()
        }
        first = await consumer.beginning_offsets(list(places))
        ends = await consumer.end_offsets(list(places))
        committed: dict[str, dict[Place, int]] = {}
        for role, topics in (READS | INDEXES).items():
            own = [place for place, (short, _) in places.items() if short in topics]
            found = await committed_offsets(client, app_id(Role(role), self._settings), own)
            committed[role] = {places[place]: offset for place, offset in found.items()}
        bounds = {short: (first[place], ends[place]) for place, short in places.items()}
        now = _now_ms()
        self._waits.look(bounds, now)
        self.found = lags(READS, committed, bounds, self._processes(), now, self._waits)
        self.index = lags(INDEXES, committed, bounds, (), now, self._waits)
        self._waits.forget(self._least())
        self.reach = self.reach.asked(now)

    def _least(self) -> dict[Place, int]:
        """How far those are that are least far, in each partition."""
        least: dict[Place, int] = {}
        for lag in [*self.found, *self.index]:
            place = lag.topic, lag.partition
            least[place] = min(lag.committed, least.get(place, lag.committed))
        return least


def _now_ms() -> int:
    return int(time.time() * 1000)
