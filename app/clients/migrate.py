"""Makes topics and schema, and grows them: everything that a worker needs to find when it starts.

Faust hangs on a missing topic, changelogs included, so all of them are made here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import for_code
from msgspec import Struct

from app import roles, schema
from app.clients.cassandra import session
from app.clients.kafka import admin, live_members
from app.errors import Unavailable, UserError
from app.roles import Role, app_id
from app.settings import Settings
from app.topics import MAX_DERIVED_BYTES, MAX_RECORD_BYTES, RAW, TOPICS, Topic, full_name, partition_count

_TOPIC_EXISTS = 36
_SETTLE_SECONDS = 60  # hundreds of partitions are as many directories, on a slow disk


class Wanted(Struct, frozen=True):
    """A topic as it shall be on the broker."""

    name: str
    partitions: int
    config: dict[str, str]


class Migrated(Struct):
    """What a migration did; empty where nothing was left to do."""

    created: list[str] = []
    grown: list[str] = []
    schema: list[str] = []


def wanted_topics(settings: Settings) -> Iterator[Wanted]:
    """All topics: of the way of a post, and the changelogs of each role."""
    for topic in TOPICS:
        yield Wanted(full_name(topic, settings), partition_count(topic, settings), _config(topic, settings))
    compacted = {"cleanup.policy": "compact", "max.message.bytes": str(MAX_DERIVED_BYTES)}
    for role in Role:
        for table, source in roles.tables(role).items():
            yield Wanted(roles.changelog(role, table, settings), partition_count(source, settings), compacted)


def _config(topic: Topic, settings: Settings) -> dict[str, str]:
    most = MAX_RECORD_BYTES if topic is RAW else MAX_DERIVED_BYTES
    config = {"max.message.bytes": str(most), "cleanup.policy": "compact" if topic.compacted else "delete"}
    hours = settings.raw_retention_hours if topic is RAW else topic.retention_hours
    if hours is not None:
        config["retention.ms"] = str(int(hours * 3_600_000))
    if topic.segment_minutes is not None:
        config["segment.ms"] = str(int(topic.segment_minutes * 60_000))
    return config


async def migrate(settings: Settings) -> Migrated:
    """Make or grow topics and schema. Repeatable. Raises Unavailable, UserError."""
    done = Migrated()
    async with admin(settings) as client:
        await _create(client, settings, done)
        await _grow(client, settings, done)
    await asyncio.to_thread(_schema, settings, done)
    return done


async def _create(client: AIOKafkaAdminClient, settings: Settings, done: Migrated) -> None:
    present = set(await client.list_topics())
    missing = [wanted for wanted in wanted_topics(settings) if wanted.name not in present]
    if missing:
        response = await client.create_topics(
            [
                NewTopic(topic.name, topic.partitions, settings.replication, topic_configs=topic.config)
                for topic in missing
            ]
        )
        for name, code, *message in response.topic_errors:
            if code not in (0, _TOPIC_EXISTS):
                raise Unavailable(f"Kafka refused topic {name}: {(message and message[0]) or for_code(code).__name__}")
        await _settle(client, {topic.name for topic in missing})
    done.created += [topic.name for topic in missing]


async def _settle(client: AIOKafkaAdminClient, names: set[str]) -> None:
    """Wait until every new topic has leaders: a worker that starts before may hang."""
    for _ in range(_SETTLE_SECONDS * 10):
        described = await client.describe_topics(sorted(names))
        if all(
            topic["error_code"] == 0 and topic["partitions"] and all(p["leader"] >= 0 for p in topic["partitions"])
            for topic in described
        ):
            return
        await asyncio.sleep(0.1)
    raise Unavailable(f"Kafka made no leaders for new topics in {_SETTLE_SECONDS} s")


async def _grow(client: AIOKafkaAdminClient, settings: Settings, done: Migrated) -> None:
    wanted = {topic.name: topic.partitions for topic in wanted_topics(settings)}
    described = await client.describe_topics(sorted(wanted))
    small = {
        topic["topic"]: wanted[topic["topic"]]
        for topic in described
        if len(topic["partitions"]) < wanted[topic["topic"]]
    }
    for topic in described:
        if len(topic["partitions"]) > wanted[topic["topic"]]:
            raise UserError(
                f"topic {topic['topic']} has {len(topic['partitions'])} partitions, the settings say "
                f"{wanted[topic['topic']]}, and topics do not shrink; raise STARLING_PARTITIONS"
            )
    if small:
        await _check_nobody_reads(client, settings)
        await client.create_partitions({name: NewPartitions(total_count=count) for name, count in small.items()})
        done.grown += sorted(small)


async def _check_nobody_reads(client: AIOKafkaAdminClient, settings: Settings) -> None:
    """Faust does not notice that a topic has grown: new partitions would lie unread, and the worker crash on them."""
    for role in Role:
        if running := await live_members(client, app_id(role, settings)):
            raise UserError(f"partitions are to be added, but role {role} has {running} running; stop those first")


def _schema(settings: Settings, done: Migrated) -> None:
    with session(settings) as cassandra:
        for statement in schema.statements(settings):
            cassandra.execute(statement, timeout=30)
        rows = cassandra.execute(
            "SELECT table_name, column_name FROM system_schema.columns WHERE keyspace_name = %s", [settings.keyspace]
        )
        present: dict[str, set[str]] = {}
        for table, column in rows:
            present.setdefault(table, set()).add(column)
        for statement in schema.missing_columns(settings, present):
            cassandra.execute(statement, timeout=30)
            done.schema.append(statement)
