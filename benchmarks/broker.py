"""What the measurements ask of Kafka: topics, records already made, and how far a consumer group has come."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable

import msgspec
from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from app.clients.cassandra import session
from app.clients.migrate import migrate
from app.domain.events import Event
from app.settings import Settings
from app.topics import EVENTS, MAX_RECORD_BYTES, full_name

_LEADER_SECONDS = 30.0


class Broker:
    """The broker of a stack."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._admin = AdminClient({"bootstrap.servers": address, "log_level": 0})

    def create(self, names: Iterable[str], partitions: int) -> None:
        """Make topics as `starling migrate` makes raw_tweets."""
        config = {"max.message.bytes": str(MAX_RECORD_BYTES)}
        made = self._admin.create_topics([NewTopic(name, partitions, 1, config=config) for name in names])
        for future in made.values():
            future.result()

    def stable(self, group: str) -> bool:
        """Whether the group has shared out its partitions."""
        try:
            found = self._admin.describe_consumer_groups([group])[group].result()
        except Exception:  # not there yet
            return False
        return bool(found.state == ConsumerGroupState.STABLE and found.members)

    def ends(self, topic: str) -> dict[int, int]:
        """End offset of each partition. A broker that stood still is not sure for a moment that it leads any."""
        deadline = time.monotonic() + _LEADER_SECONDS
        while True:
            try:
                return self._ends(topic)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def _ends(self, topic: str) -> dict[int, int]:
        partitions = self._admin.list_topics(topic, timeout=10).topics[topic].partitions
        asked = self._admin.list_offsets({TopicPartition(topic, number): OffsetSpec.latest() for number in partitions})
        return {partition.partition: future.result().offset for partition, future in asked.items()}

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Committed offset of each partition that has one."""
        asked = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
        found = asked[group].result().topic_partitions
        return {part.partition: part.offset for part in found if part.topic == topic and part.offset >= 0}

    def through(self, group: str, topic: str) -> bool:
        """Whether the group has committed everything that is in the topic."""
        committed = self.committed(group, topic)
        return all(committed.get(number, 0) >= end for number, end in self.ends(topic).items())

    def drop(self, prefix: str) -> None:
        """Delete the topics whose names begin so."""
        names = [name for name in self._admin.list_topics(timeout=10).topics if name.startswith(prefix)]
        for future in self._admin.delete_topics(names).values() if names else ():
            with contextlib.suppress(Exception):
                future.result()


def prepare(settings: Settings, events: Iterable[Event]) -> None:
    """Topics, keyspace and events, all new."""
    asyncio.run(migrate(settings))
    producer = Producer({"bootstrap.servers": settings.kafka, "log_level": 0})
    for event in events:
        producer.produce(full_name(EVENTS, settings), msgspec.json.encode(event), event.code.encode())
    producer.flush()


def drop_keyspace(settings: Settings) -> None:
    """Remove the rows of a contestant."""
    with session(settings) as cassandra:
        cassandra.execute(f"DROP KEYSPACE IF EXISTS {settings.keyspace}", timeout=60)


def wait_for(what: str, condition: object, seconds: float, every: float = 0.1) -> None:
    """Return when the condition holds. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
