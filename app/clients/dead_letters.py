"""Dead letters from outside: an index of the newest ones, the bytes of one, and the way back to `raw_tweets`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from mode import Service

from app.clients.compacted import POLL_MS, has_reached, reader
from app.clients.kafka import producer, unreachable
from app.domain.letters import Letter, Outcome, Replayed, cannot_replay, headers, letter
from app.errors import Unavailable
from app.settings import Settings
from app.topics import DEAD_LETTERS, RAW, REPLAYED_LETTERS, full_name, partition_count

MOST = 10_000  # in an index, the newest
_RETRY_SECONDS = 2.0
_READ_SECONDS = 5.0


class Index:
    """The newest letters by id, in the order in which they came. A letter that was buried twice is in it once."""

    def __init__(self) -> None:
        self.letters: dict[str, Letter] = {}
        self.complete = False

    def newest_first(self) -> list[Letter]:
        """All of them, the newest first."""
        return sorted(self.letters.values(), key=lambda one: one.at, reverse=True)

    async def fill(self, settings: Settings, *, on: Callable[[], bool]) -> None:
        """Read what there is, and what comes, while `on` says so. Raises Unavailable, KafkaError."""
        most = MOST // partition_count(DEAD_LETTERS, settings)
        async with reader(settings, DEAD_LETTERS, from_start=False, last=most) as (consumer, ends):
            self.letters.clear()
            while on():
                self.complete = self.complete or await has_reached(consumer, ends)
                for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                    for record in records:
                        self._add(_letter(record))

    def _add(self, one: Letter) -> None:
        self.letters.pop(one.id, None)
        self.letters[one.id] = one
        if len(self.letters) > MOST:
            del self.letters[next(iter(self.letters))]


class DeadLetters(Service):
    """Follows the dead letters for as long as it runs."""

    abstract = False

    def __init__(self, settings: Settings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self.index = Index()

    @Service.task
    async def _follow(self) -> None:
        while not self.should_stop:
            try:
                await self.index.fill(self._settings, on=lambda: not self.should_stop)
            except (Unavailable, KafkaError, OSError):
                await self.sleep(_RETRY_SECONDS)


async def read_index(settings: Settings) -> Index:
    """The index as it stands now. Raises Unavailable."""
    index = Index()
    try:
        async with asyncio.timeout(settings.command_timeout):
            await index.fill(settings, on=lambda: not index.complete)
    except (KafkaError, TimeoutError) as error:
        raise unreachable(settings, error) from None
    return index


async def read_bytes(settings: Settings, letters: Iterable[Letter]) -> dict[str, bytes]:
    """The bytes of letters by id; those that retention has removed are left out. Raises Unavailable."""
    found = {}
    try:
        async with reader(settings, DEAD_LETTERS, from_start=False) as (consumer, _):
            consumer.pause(*consumer.assignment())
            starts = await consumer.beginning_offsets(sorted(consumer.assignment()))
            for one in letters:
                place = TopicPartition(full_name(DEAD_LETTERS, settings), one.partition)
                if one.offset >= starts[place] and (value := await _value(consumer, place, one.offset)) is not None:
                    found[one.id] = value
    except (KafkaError, TimeoutError) as error:
        raise unreachable(settings, error) from None
    return found


async def _value(consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> bytes | None:
    consumer.seek(place, offset)
    consumer.resume(place)
    try:
        async with asyncio.timeout(_READ_SECONDS):
            while True:
                for record in (await consumer.getmany(place, timeout_ms=POLL_MS, max_records=1)).get(place, ()):
                    return (record.value or b"") if record.offset == offset else None
    finally:
        consumer.pause(place)


async def replay(settings: Settings, letters: Iterable[Letter], before: Mapping[str, Replayed], who: str) -> Outcome:
    """Send letters to `raw_tweets` once more, and mark them. Raises Unavailable: then some may have been sent.

    A letter that was sent but not marked may be sent again by the next wish: its posts are stored and counted once all
    the same (`standing`).
    """
    wanted = {one.id: one for one in letters}
    outcome = Outcome(before=[name for name in wanted if name in before])
    for name in outcome.before:
        del wanted[name]
    for name, one in list(wanted.items()):
        if (why := cannot_replay(one, settings.topic_prefix)) is not None:
            outcome.refused[name] = why
            del wanted[name]
    if not wanted:
        return outcome
    values = await read_bytes(settings, wanted.values())
    try:
        async with producer(settings) as client:
            for name, one in wanted.items():
                if name not in values:
                    outcome.refused[name] = "it is no longer kept"
                elif (why := await _send(settings, client, one, values[name], who)) is not None:
                    outcome.refused[name] = why
                else:
                    outcome.sent.append(name)
    except (KafkaError, TimeoutError) as error:
        raise unreachable(settings, error) from None
    return outcome


async def _send(settings: Settings, client: AIOKafkaProducer, one: Letter, value: bytes, who: str) -> str | None:
    """Send one; why Kafka does not take it, where that would not change. Raises KafkaError, TimeoutError."""
    mark = msgspec.json.encode(Replayed(int(time.time() * 1000), who))
    async with asyncio.timeout(settings.connect_timeout):
        try:
            await client.send_and_wait(full_name(RAW, settings), value, headers=headers(one))
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            return "it is too large for Kafka"
        await client.send_and_wait(full_name(REPLAYED_LETTERS, settings), mark, one.id.encode())
    return None


def _letter(record: ConsumerRecord) -> Letter:
    return letter(
        record.key,
        len(record.value or b""),
        dict(record.headers),
        record.partition,
        record.offset,
        record.timestamp,
    )
