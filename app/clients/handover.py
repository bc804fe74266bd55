"""Hands the place of one role to another that does the same work: tables and offsets.

Each role is a Faust app with a consumer group and changelogs of its own. Going from `all` to `manager` and `worker` (or
back) on the same topics, the new group would begin where it was last, or at the start, with tables to match: it would
carry out old commands once more. So a role begins only where the last one ended.

Safe to break off: a partition's table is written before its offset, and what was handed over is not handed over again.
"""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata
from msgspec import Struct

from app.clients.kafka import committed_offsets, connection, producer
from app.roles import Role, app_id, changelog, tables
from app.settings import Settings
from app.topics import full_name

READ_SECONDS = 120.0  # for a partition of a changelog; it holds a few MB


class Ahead(Struct, frozen=True):
    """A role has done work on a partition that another, which reads it too, knows nothing of."""

    role: Role
    table: str
    partition: TopicPartition
    offset: int


async def ahead(client: AIOKafkaAdminClient, role: Role, settings: Settings) -> list[Ahead]:
    """For each partition that a role reads, the rival that has come farthest, where that is farther than the role."""
    own = await committed_offsets(client, app_id(role, settings))
    farthest: dict[TopicPartition, Ahead] = {}
    for rival in role.rivals:
        committed = await committed_offsets(client, app_id(rival, settings))
        for table, topic in tables(role).items():
            if table not in tables(rival):
                continue
            for partition, offset in committed.items():
                best = farthest[partition].offset if partition in farthest else own.get(partition, 0)
                if partition.topic == full_name(topic, settings) and offset > best:
                    farthest[partition] = Ahead(rival, table, partition, offset)
    return list(farthest.values())


async def hand_over(client: AIOKafkaAdminClient, role: Role, settings: Settings) -> list[Ahead]:
    """Bring a role to where its rivals have ended; none of them may be at work. Raises KafkaError, TimeoutError."""
    behind = await ahead(client, role, settings)
    if behind:
        async with producer(settings) as sender, _consumer(settings) as reader:
            for one in behind:
                number = one.partition.partition
                source = TopicPartition(changelog(one.role, one.table, settings), number)
                target = TopicPartition(changelog(role, one.table, settings), number)
                entries = await _read(reader, source)
                stale: dict[bytes, bytes | None] = dict.fromkeys(await _read(reader, target))
                sent = [await sender.send(target.topic, value, key, number) for key, value in (stale | entries).items()]
                await asyncio.gather(*sent)  # `flush` says nothing of what failed
        async with _consumer(settings, group_id=app_id(role, settings)) as member:
            member.assign([one.partition for one in behind])
            await member.commit({one.partition: OffsetAndMetadata(one.offset, "") for one in behind})
    return behind


def _consumer(settings: Settings, group_id: str | None = None) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **connection(settings), group_id=group_id, enable_auto_commit=False, auto_offset_reset="earliest"
    )


async def _read(reader: AIOKafkaConsumer, partition: TopicPartition) -> dict[bytes, bytes]:
    """The entries of a changelog's partition."""
    reader.assign([partition])
    await reader.seek_to_beginning(partition)
    end = (await reader.end_offsets([partition]))[partition]
    found: dict[bytes, bytes] = {}
    async with asyncio.timeout(READ_SECONDS):
        while await reader.position(partition) < end:
            for records in (await reader.getmany(timeout_ms=200)).values():
                for record in records:
                    if record.value is None:
                        found.pop(record.key, None)
                    else:
                        found[record.key] = record.value
    return found
