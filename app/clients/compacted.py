"""Reads a topic from outside, without a group: from its end on, or all that a compacted one holds now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from app.clients.kafka import connection, stop_consumer, unreachable
from app.errors import Unavailable
from app.settings import Settings
from app.topics import Topic, full_name

T = TypeVar("T")
POLL_MS = 200
# A broker answers one question at a time: one about partitions that are read to their end, by default for half a
# second, keeps those from being read on that have more.
_FETCH_MS = 50


async def read_compacted(
    settings: Settings,
    topic: Topic,
    decode: Callable[[bytes], T],
    replaces: Callable[[T, T], bool] = lambda later, standing: True,
) -> dict[str, T]:
    """The entries of a compacted topic as they stand now, by key. `decode` raises ValueError. Raises Unavailable.

    What cannot be decoded was written by something else than Starling and is passed over, as the views do.
    """
    found: dict[str, T] = {}
    async with reader(settings, topic, from_start=True) as (consumer, ends):
        try:
            async with asyncio.timeout(settings.command_timeout):
                while not await has_reached(consumer, ends):
                    for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                        for record in records:
                            _apply(record.key, record.value, decode, replaces, found)
        except TimeoutError as error:
            raise unreachable(settings, error) from None
    return found


def _apply(
    key: bytes | None,
    value: bytes | None,
    decode: Callable[[bytes], T],
    replaces: Callable[[T, T], bool],
    found: dict[str, T],
) -> None:
    name = (key or b"").decode("utf-8", "replace")
    if value is None:
        found.pop(name, None)
        return
    try:
        later = decode(value)
    except ValueError:
        return
    if name not in found or replaces(later, found[name]):
        found[name] = later


async def has_reached(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    """Whether the consumer has read up to these offsets."""
    for partition, end in ends.items():
        if await consumer.position(partition) < end:
            return False
    return True


@asynccontextmanager
async def reader(
    settings: Settings, topic: Topic, *, from_start: bool, last: int = 0
) -> AsyncIterator[tuple[AIOKafkaConsumer, dict[TopicPartition, int]]]:
    """A consumer without a group at the start of all partitions, or so many records before their end; and their ends.

    Raises Unavailable.
    """
    name = full_name(topic, settings)
    consumer = AIOKafkaConsumer(
        **connection(settings), enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=_FETCH_MS
    )
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
        for partition, start in starts.items():
            consumer.seek(partition, start if from_start else max(start, ends[partition] - last))
        yield consumer, ends
    finally:
        await stop_consumer(consumer)


def no_topic(name: str) -> Unavailable:
    """What is missing, and what makes it."""
    return Unavailable(f"Kafka has no topic {name}; `starling migrate` makes it")
