"""Looks every two seconds how far each role's group is, by connections that stay open; whether Kafka answers, too."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from mode import Service

from app import roles
from app.clients.kafka import admin, committed_offsets, connection
from app.domain.lag import Lag, Place, lags
from app.domain.presence import Process
from app.domain.reach import Reach
from app.errors import Unavailable
from app.roles import Role, app_id
from app.settings import Settings

_SECONDS = 2.0
READS = {role.value: [topic.name for topic in roles.tables(role).values()] for role in Role if roles.tables(role)}


class Lags(Service):
    """How it was when Kafka last answered. `processes` tells who is there."""

    abstract = False
    logger = logging.getLogger("mode.lags")

    def __init__(self, settings: Settings, processes: Callable[[], Iterable[Process]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._processes = processes
        self.found: list[Lag] = []
        self.reach = Reach()

    @Service.task
    async def _look(self) -> None:
        while not self.should_stop:
            try:
                await self._look_on()
            except (KafkaError, Unavailable, OSError, TimeoutError) as error:
                self.reach = self.reach.asked(_now_ms(), type(error).__name__)
                await self.sleep(_SECONDS)

    async def _look_on(self) -> None:
        """Raises KafkaError, Unavailable, OSError, TimeoutError."""
        consumer = AIOKafkaConsumer(**connection(self._settings), enable_auto_commit=False)
        try:
            await consumer.start()
            async with admin(self._settings) as client:
                while not self.should_stop:
                    await self._once(consumer, client)
                    self.reach = self.reach.asked(_now_ms())
                    await self.sleep(_SECONDS)
        finally:
            await consumer.stop()

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
        for role, topics in READS.items():
            own = [place for place, (short, _) in places.items() if short in topics]
            found = await committed_offsets(client, app_id(Role(role), self._settings), own)
            committed[role] = {places[place]: offset for place, offset in found.items()}
        bounds = {short: (first[place], ends[place]) for place, short in places.items()}
        self.found = lags(READS, committed, bounds, self._processes(), _now_ms())


def _now_ms() -> int:
    return int(time.time() * 1000)
