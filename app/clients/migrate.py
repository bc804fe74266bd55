"""Makes topics and schema, and grows them: everything that a worker needs to find when it starts.

Faust hangs on a missing topic, changelogs included, so all of them are made here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code
from cassandra import RequestValidationException
from cassandra.cluster import Session
from cassandra.pool import Host
from msgspec import Struct

from app import roles, schema
from app.clients.cassandra import TRANSIENT, session, why
from app.clients.kafka import admin, live_members
from app.errors import Unavailable, UserError
from app.roles import Role, app_id
from app.settings import Settings
from app.topics import MAX_DERIVED_BYTES, MAX_RECORD_BYTES, RAW, TOPICS, Topic, full_name, partition_count

_TOPIC_EXISTS = 36
_OF_THE_TOPIC = 1  # source of a value: set for this topic, not the broker's or Kafka's own
_RETENTION = "retention.ms"
_SAID = re.compile(r'message="(.*)"', re.DOTALL)  # by the server, in an error of the driver's
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
    kept: list[str] = []  # topics whose records are kept for another time than before
    schema: list[str] = []
    replication: list[str] = []  # of keyspaces: from what to what
    repair: list[str] = []  # keyspaces of which there are copies that hold nothing until a repair


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
        config[_RETENTION] = str(int(hours * 3_600_000))
    if topic.segment_minutes is not None:
        config["segment.ms"] = str(int(topic.segment_minutes * 60_000))
    return config


async def migrate(settings: Settings) -> Migrated:
    """Make or grow topics and schema. Repeatable. Raises Unavailable, UserError."""
    done = Migrated()
    async with admin(settings) as client:
        await _create(client, settings, done)
        await _grow(client, settings, done)
        await _keep(client, settings, done)
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
    """Faust does not notice that a topic has grown: new partitions would lie unread, and the worker crash on them.

    Only topics of posts grow. Managers and trackers, who read none, may go on; on Kubernetes they do.
    """
    for role in Role:
        reads = role.classifies or role.normalizes or role.indexes
        if reads and (running := await live_members(client, app_id(role, settings))):
            raise UserError(f"partitions are to be added, but role {role} has {running} running; stop those first")


async def _keep(client: AIOKafkaAdminClient, settings: Settings, done: Migrated) -> None:
    """Have raw posts kept as long as the settings say now: of a topic, this alone is a setting."""
    wanted = next(topic for topic in wanted_topics(settings) if topic.name == full_name(RAW, settings))
    named = ConfigResource(ConfigResourceType.TOPIC, wanted.name)
    (answer,) = await client.describe_configs([named])
    ((refused, _, _, _, entries),) = answer.resources
    own = {name: value for name, value, _, source, *_ in entries or () if source == _OF_THE_TOPIC}
    if refused or own.get(_RETENTION) == wanted.config[_RETENTION]:
        return  # who may not even look at it has a broker that others keep
    # The whole of it: what is left out would be as the broker has it.
    named.configs = own | {_RETENTION: wanted.config[_RETENTION]}
    (changed,) = await client.alter_configs([named])
    ((refused, message, *_),) = changed.resources
    if refused:
        raise UserError(
            f"Kafka refused to keep {wanted.name} for another time: {message or for_code(refused).__name__}"
        )
    done.kept.append(wanted.name)


def _schema(settings: Settings, done: Migrated) -> None:
    with session(settings, to_all=True) as cassandra:
        try:
            node = _node(cassandra, settings)
            _make(cassandra, settings, node, done)
            _replicate(cassandra, settings, node, done)
        except TRANSIENT as error:
            raise Unavailable(f"Cassandra did not make all of the schema ({why(error)}); try again") from None
        except RequestValidationException as error:
            told = _SAID.search(str(error))
            said = " ".join((told[1] if told else str(error)).split())
            raise UserError(f"Cassandra refused the schema: {said}") from None


def _node(cassandra: Session, settings: Settings) -> Host | None:
    """The node that is asked, the same whoever asks; None leaves it to the driver.

    Two managers may start at once. Asked at two nodes, each would make a table of the same name, with another id; one
    node looks whether there is one already.
    """
    near = (host for host in cassandra.cluster.metadata.all_hosts() if host.datacenter == settings.cassandra_datacenter)
    return min((host for host in near if host.is_up is not False), key=lambda host: str(host.host_id), default=None)


def _make(cassandra: Session, settings: Settings, node: Host | None, done: Migrated) -> None:
    for statement in schema.statements(settings):
        cassandra.execute(statement, timeout=30, host=node)
    rows = cassandra.execute(
        "SELECT table_name, column_name FROM system_schema.columns WHERE keyspace_name = %s",
        [settings.keyspace],
        host=node,
    )
    present: dict[str, set[str]] = {}
    for table, column in rows:
        present.setdefault(table, set()).add(column)
    for statement in schema.missing_columns(settings, present):
        cassandra.execute(statement, timeout=30, host=node)
        done.schema.append(statement)


def _replicate(cassandra: Session, settings: Settings, node: Host | None, done: Migrated) -> None:
    """Have as many copies as the settings say now. Last, as it may be refused: while a node joins, say."""
    ((stands,),) = cassandra.execute(
        "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s", [settings.keyspace], host=node
    )
    if changed := schema.changed_replication(settings, stands):
        cassandra.execute(changed.statement, timeout=30, host=node)
        done.replication.append(changed.words)
        if changed.repair:
            done.repair.append(settings.keyspace)
