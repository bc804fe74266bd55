"""How much those who read `classified_tweets` have still to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from app.clients.compacted import reader
from app.clients.kafka import admin, committed_offsets
from app.roles import Role, app_id
from app.settings import Settings
from app.topics import CLASSIFIED


class Backlog:
    """Looks at the topic and its readers by connections that stay open; `backlog` makes one."""

    def __init__(
        self, settings: Settings, roles: Iterable[Role], client: AIOKafkaAdminClient, consumer: AIOKafkaConsumer
    ) -> None:
        self._groups = [app_id(role, settings) for role in roles]
        self._client = client
        self._consumer = consumer
        self._places: list[TopicPartition] = sorted(consumer.assignment())

    async def records(self) -> int:
        """Records that no process of the roles has dealt with. Raises KafkaError.

        Of several groups the one that is farthest counts: others are what a role has left that ran here once.
        """
        ends = await self._consumer.end_offsets(self._places)
        committed = [await committed_offsets(self._client, group, self._places) for group in self._groups]
        return min(_waiting(ends, done) for done in committed)


def _waiting(ends: dict[TopicPartition, int], done: dict[TopicPartition, int]) -> int:
    return sum(max(0, end - done.get(place, 0)) for place, end in ends.items())


@asynccontextmanager
async def backlog(settings: Settings, roles: Iterable[Role]) -> AsyncIterator[Backlog]:
    """A look at the backlog of roles that do the same. Raises Unavailable."""
    async with reader(settings, CLASSIFIED, from_start=False) as (consumer, _), admin(settings) as client:
        consumer.pause(*consumer.assignment())
        yield Backlog(settings, roles, client, consumer)
