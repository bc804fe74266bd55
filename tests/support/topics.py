"""Kafka as a test sees it: send raw records, read a whole topic, wait until a group has read everything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from app.clients.kafka import admin, committed_offsets, connection, producer
from app.domain.activity import Activity
from app.domain.classify import Intake
from app.domain.records import raw_headers
from app.roles import EVENT_ACTIVITY, INTAKE, Role, app_id, changelog
from app.settings import Settings
from app.topics import ACTIVITY, CLASSIFIED, DEAD_LETTERS, EVENT_COMMANDS, RAW, Topic, full_name
from tests.support.waiting import until

RECEIVED_MS = 1_714_560_100_000
HEADERS = tuple(raw_headers("test", "v1", RECEIVED_MS, "replay"))


class Raw(NamedTuple):
    """A raw record to send. With the partition given, two runs see the same order."""

    value: bytes | None
    partition: int | None = None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = HEADERS

    def __repr__(self) -> str:
        """Nothing of a post, which may be a real person's and ends in a log when a test fails."""
        return f"Raw({len(self.value or b'')} bytes)"


class Sent(NamedTuple):
    """Where a record came to stand."""

    partition: int
    offset: int
    timestamp: int


async def send_async(settings: Settings, records: Iterable[Raw], topic: Topic = RAW) -> list[Sent]:
    """Send records; where each came to stand, once Kafka has all of them."""
    name = full_name(topic, settings)
    async with producer(settings) as client:
        futures = [
            await client.send(name, record.value, record.key, record.partition, None, list(record.headers))
            for record in records
        ]
        done = await asyncio.gather(*futures)
    return [Sent(made.partition, made.offset, made.timestamp) for made in done]


def send(settings: Settings, records: Iterable[Raw], topic: Topic = RAW) -> list[Sent]:
    """The same, from a test that is not async."""
    return asyncio.run(send_async(settings, records, topic))


async def read_async(settings: Settings, name: str) -> list[ConsumerRecord]:
    """Every record that stands in a topic."""
    consumer = AIOKafkaConsumer(
        **connection(settings), enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    found: list[ConsumerRecord] = []
    try:
        await consumer._client.force_metadata_update()
        partitions = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name) or ()]
        assert partitions, f"there is no topic {name}"
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        while [tp for tp, end in ends.items() if await consumer.position(tp) < end]:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    finally:
        await consumer.stop()
    return found


async def ends_async(settings: Settings, name: str) -> dict[int, int]:
    """End offset of each partition of a topic."""
    consumer = AIOKafkaConsumer(**connection(settings), enable_auto_commit=False)
    await consumer.start()
    try:
        await consumer._client.force_metadata_update()
        partitions = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name) or ()]
        return {tp.partition: end for tp, end in (await consumer.end_offsets(partitions)).items()}
    finally:
        await consumer.stop()


def read(settings: Settings, topic: Topic) -> list[ConsumerRecord]:
    """Every record that stands in a topic."""
    return asyncio.run(read_async(settings, full_name(topic, settings)))


def newest(settings: Settings, name: str) -> dict[str, bytes]:
    """A compacted topic as a dict, tombstones applied."""
    found: dict[str, bytes] = {}
    for record in asyncio.run(read_async(settings, name)):
        key = (record.key or b"").decode()
        if record.value is None:
            found.pop(key, None)
        else:
            found[key] = record.value
    return found


class Letter(NamedTuple):
    """A dead letter."""

    reason: str
    value: bytes

    def __repr__(self) -> str:
        """The bytes may be a real person's."""
        return f"Letter({self.reason!r}, {len(self.value)} bytes)"


def dead_letters(settings: Settings) -> dict[str, Letter]:
    """Dead letters by id; what stands in the headers must agree with the id."""
    found: dict[str, Letter] = {}
    for record in read(settings, DEAD_LETTERS):
        told = {name: text.decode() for name, text in record.headers}
        letter_id = record.key.decode()
        assert letter_id == ":".join(told[name] for name in ("topic", "partition", "offset", "line"))
        found[letter_id] = Letter(told["reason"], record.value)
    return found


class Offsets(NamedTuple):
    """Committed and end offset of a partition of a group's topic."""

    committed: int
    end: int


async def _offsets(settings: Settings, role: Role, topics: Iterable[Topic]) -> dict[TopicPartition, Offsets]:
    consumer = AIOKafkaConsumer(**connection(settings), enable_auto_commit=False)
    await consumer.start()
    try:
        await consumer._client.force_metadata_update()
        partitions = [
            TopicPartition(name, number)
            for name in (full_name(topic, settings) for topic in topics)
            for number in consumer.partitions_for_topic(name) or ()
        ]
        ends = await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()
    async with admin(settings) as client:
        committed = await committed_offsets(client, app_id(role, settings))
    return {tp: Offsets(committed.get(tp, 0), end) for tp, end in ends.items()}


def read_by(role: Role) -> list[Topic]:
    """Topics that a role's group reads, in the order of the flow."""
    topics = [EVENT_COMMANDS] if role.manages else []
    topics += [RAW] if role.classifies else []
    return topics + ([CLASSIFIED] if role.normalizes or role is Role.INDEXER else [])


def offsets(settings: Settings, role: str, topics: Iterable[Topic] | None = None) -> dict[TopicPartition, Offsets]:
    """What the role's group has committed of what there is."""
    chosen = Role(role)
    return asyncio.run(_offsets(settings, chosen, read_by(chosen) if topics is None else topics))


def wait_drained(settings: Settings, role: str = "all", seconds: float = 120) -> None:
    """Return once the role's group has committed all that stands in its topics: what it wrote is written by then."""
    for topic in read_by(Role(role)):
        until(
            lambda topic=topic: all(o.committed >= o.end for o in offsets(settings, role, [topic]).values()),
            f"{role} has read all of {topic.name}",
            seconds,
        )


def intake(settings: Settings, role: str = "all") -> dict[int, Intake]:
    """The intake table by raw partition, from its changelog."""
    found = newest(settings, changelog(Role(role), INTAKE, settings))
    return {int(msgspec.json.decode(key)): msgspec.json.decode(value, type=Intake) for key, value in found.items()}


def activity(settings: Settings, role: str = "all") -> dict[str, Activity]:
    """The activity table by `event|partition`, from its changelog."""
    found = newest(settings, changelog(Role(role), EVENT_ACTIVITY, settings))
    return {msgspec.json.decode(key): msgspec.json.decode(value, type=Activity) for key, value in found.items()}


def published(settings: Settings) -> tuple[dict[int, Intake], dict[str, Activity]]:
    """Intake and activity as the topic `activity` tells them to whoever watches."""
    found = newest(settings, full_name(ACTIVITY, settings))
    counts = {int(key[2:]): msgspec.json.decode(value, type=Intake) for key, value in found.items() if key[:2] == "*|"}
    rest = {key: msgspec.json.decode(value, type=Activity) for key, value in found.items() if key[:2] != "*|"}
    return counts, rest


def total(counts: Iterable[Intake]) -> Intake:
    """The sum over partitions; offsets have no sum."""
    made = Intake()
    for part in counts:
        made.add(part)
    made.offset = -1
    return made
