"""How every Kafka client of Starling connects."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import stamina
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    KafkaTimeoutError,
    NotCoordinatorForGroupError,
    for_code,
)

from app.errors import Unavailable
from app.settings import Settings
from app.topics import MAX_RECORD_BYTES, Topic, full_name

_PROBE_SECONDS = 10.0
_CUT_OFF_SECONDS = 2.0
_NO_SUCH_GROUP = 69  # of newer brokers
_LIVE_STATES = {"Stable", "PreparingRebalance", "CompletingRebalance"}

# A new broker makes its group coordinator only when it is first asked for one, and one that has just become coordinator
# reads its groups first.
_patient_with_coordinator = stamina.retry(
    on=(GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError),
    attempts=None,
    timeout=30,
    wait_max=2,
)


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """Context for encrypted connections, None for plain ones."""
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    return ssl.create_default_context(cafile=settings.kafka_ca_file)


def connection(settings: Settings) -> dict[str, Any]:
    """Arguments that every aiokafka client takes."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.kafka.split(","),
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": ssl_context(settings),
        "request_timeout_ms": int(settings.connect_timeout * 1000),
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        arguments |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password.get_secret_value() if settings.kafka_password else None,
        }
    return arguments


def unreachable(settings: Settings, error: BaseException) -> Unavailable:
    """The one line that says that Kafka does not answer."""
    return Unavailable(f"Kafka is not reachable at {settings.kafka} ({type(error).__name__}); `starling up` starts one")


@asynccontextmanager
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A started producer that loses and doubles nothing by itself. Raises Unavailable."""
    client = AIOKafkaProducer(
        **connection(settings),
        acks="all",
        enable_idempotence=True,
        compression_type="zstd",
        linger_ms=5,
        max_batch_size=1024 * 1024,
        max_request_size=MAX_RECORD_BYTES,
    )
    try:
        await client.start()
    except (KafkaError, OSError) as error:
        await client.stop()
        raise unreachable(settings, error) from None
    try:
        yield client
    finally:
        # It flushes, without end while Kafka is away.
        try:
            await asyncio.wait_for(client.stop(), settings.connect_timeout)
        except TimeoutError:
            await _cut_off(client)


async def write(settings: Settings, topic: Topic, key: str, value: bytes | None) -> None:
    """Write one record, from a command line; returns when Kafka has it. Raises Unavailable."""
    async with producer(settings) as sender:
        try:
            async with asyncio.timeout(settings.command_timeout):
                await sender.send_and_wait(full_name(topic, settings), value, key.encode())
        except (KafkaError, OSError, TimeoutError) as error:
            raise unreachable(settings, error) from None


async def _cut_off(client: AIOKafkaProducer) -> None:
    """Left alone it would go on sending what its owner has meanwhile kept elsewhere."""
    sending = client._sender.sender_task
    sending.cancel()
    await client.client.close()
    await asyncio.wait([sending], timeout=_CUT_OFF_SECONDS)


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, whatever its tasks are about.

    aiokafka cancels its fetches and awaits each: one that waits to be tried again, or has not begun, ends by
    CancelledError, and so does its `stop`. Whoever calls that would end, too, as if somebody had asked him to.
    """
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        await end_fetches(consumer)


async def end_fetches(consumer: AIOKafkaConsumer) -> None:
    """Do what is left to do for a consumer whose `stop` broke off."""
    if consumer._fetcher is not None:
        fetches = consumer._fetcher._pending_tasks
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)
    await consumer._client.close()


@asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client. Raises Unavailable."""
    client = AIOKafkaAdminClient(**connection(settings))
    try:
        await client.start()
    except (KafkaError, OSError) as error:
        await client.close()
        raise unreachable(settings, error) from None
    try:
        yield client
    finally:
        await client.close()


@_patient_with_coordinator
async def describe_group(client: AIOKafkaAdminClient, group: str) -> list[Any]:
    """The coordinator's answers about a group. Raises KafkaError."""
    described: list[Any] = await client.describe_consumer_groups([group])
    for response in described:
        for error, *_ in response.groups:
            if error not in (0, _NO_SUCH_GROUP):  # aiokafka leaves it to its caller
                raise for_code(error)(f"nothing is known of group {group}")
    return described


async def live_members(client: AIOKafkaAdminClient, group: str) -> int:
    """How many members a group has; one that was killed counts until its session ends. Raises KafkaError."""
    return sum(
        len(members)
        for response in await describe_group(client, group)
        for _, _, state, _, _, members, *_ in response.groups
        if state in _LIVE_STATES
    )


@_patient_with_coordinator
async def committed_offsets(
    client: AIOKafkaAdminClient, group: str, partitions: list[TopicPartition] | None = None
) -> dict[TopicPartition, int]:
    """What a group has committed of some or all partitions; those without a commit are left out. Raises KafkaError."""
    await describe_group(client, group)  # else a group that is being loaded passes for one that has committed nothing
    found = await client.list_consumer_group_offsets(group, partitions=partitions)
    return {partition: int(entry.offset) for partition, entry in found.items() if entry.offset >= 0}


async def committed_offset(settings: Settings, group: str, topic: str, partition: int) -> int | None:
    """What a group has committed of a partition; None if nothing yet. Raises Unavailable, KafkaError."""
    place = TopicPartition(topic, partition)
    async with admin(settings) as client:
        return (await committed_offsets(client, group, [place])).get(place)


async def first_offset(settings: Settings, topic: str, partition: int, offset: int) -> int | None:
    """Offset of the first record of a partition at or after `offset`; None if there is none up to its end.

    Raises KafkaError where Kafka does not answer: a slow answer must not pass for "there is none".
    """
    client = AIOKafkaConsumer(**connection(settings), enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await client.start()
        place = TopicPartition(topic, partition)
        client.assign([place])
        end = (await client.end_offsets([place]))[place]
        client.seek(place, offset)
        async with asyncio.timeout(_PROBE_SECONDS):
            while await client.position(place) < end:
                for records in (await client.getmany(place, timeout_ms=100, max_records=1)).values():
                    if records:
                        return int(records[0].offset)
    except TimeoutError:
        raise KafkaTimeoutError(f"no answer about {topic}:{partition} within {_PROBE_SECONDS:g} s") from None
    else:
        return None
    finally:
        await stop_consumer(client)
