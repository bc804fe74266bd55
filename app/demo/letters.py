"""The dead letters, as they stand in their topic."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Struct

from app.clients.kafka import connection, unreachable
from app.settings import Settings
from app.topics import DEAD_LETTERS, full_name, partition_count

_SECONDS = 30.0


class Letter(Struct, frozen=True):
    """A dead letter: the bytes, and why they could not be handled."""

    value: bytes
    reason: str


async def read_letters(settings: Settings) -> dict[str, Letter]:
    """All dead letters by their id, which one that was sent twice has twice. Raises Unavailable."""
    found: dict[str, Letter] = {}
    consumer = AIOKafkaConsumer(**connection(settings), enable_auto_commit=False, auto_offset_reset="earliest")
    name = full_name(DEAD_LETTERS, settings)
    try:
        async with asyncio.timeout(_SECONDS):
            await consumer.start()
            partitions = [TopicPartition(name, number) for number in range(partition_count(DEAD_LETTERS, settings))]
            consumer.assign(partitions)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(partitions)
            while [one for one, end in ends.items() if await consumer.position(one) < end]:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        reason = dict(record.headers).get("reason", b"").decode()
                        found[(record.key or b"").decode()] = Letter(record.value or b"", reason)
    except (KafkaError, OSError, TimeoutError) as error:
        raise unreachable(settings, error) from None
    finally:
        await consumer.stop()
    return found
