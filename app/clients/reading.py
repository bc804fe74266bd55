"""Reads a topic without a group, from its start or its end: for a look at what stands there, or what comes next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from app.clients.kafka import connection, unreachable
from app.errors import Unavailable
from app.settings import Settings
from app.topics import Topic, full_name


@asynccontextmanager
async def reader(
    settings: Settings, topic: Topic, *, from_start: bool
) -> AsyncIterator[tuple[AIOKafkaConsumer, dict[TopicPartition, int]]]:
    """A consumer without a group at the start or end of all partitions, and their end offsets. Raises Unavailable."""
    name = full_name(topic, settings)
    consumer = AIOKafkaConsumer(**connection(settings), enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        try:
            await consumer.start()
            # aiokafka has no public way to ask for metadata without a subscription.
            await consumer._client.force_metadata_update()
            numbers = consumer.partitions_for_topic(name) or ()
            partitions = [TopicPartition(name, number) for number in numbers]
            if not partitions:
                raise no_topic(name)
            consumer.assign(partitions)
            starts = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
        except (KafkaError, OSError, TimeoutError) as error:
            raise unreachable(settings, error) from None
        for partition, offset in (starts if from_start else ends).items():
            consumer.seek(partition, offset)
        yield consumer, ends
    finally:
        await consumer.stop()


async def has_reached(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    """Whether the consumer has read up to these offsets."""
    for partition, end in ends.items():
        if await consumer.position(partition) < end:
            return False
    return True


def no_topic(name: str) -> Unavailable:
    """The one line that says that a topic is missing."""
    return Unavailable(f"Kafka has no topic {name}; `starling migrate` makes it")
