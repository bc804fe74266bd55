"""Sends event commands through Kafka and waits for the manager's answers; reads the events as they stand.

The reader of `event_results` stands at the end of the topic before a command is sent, so that no answer is missed.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from app.clients.compacted import POLL_MS, no_topic, read_compacted, reader
from app.clients.kafka import producer
from app.domain.decisions import Action, Answer, Command
from app.domain.events import Event
from app.errors import Unavailable
from app.settings import Settings
from app.topics import EVENT_COMMANDS, EVENT_RESULTS, EVENTS, full_name

ALL_EVENTS = "*"  # code of a command that is for every event of a partition
# Rows of a large event go partition by partition, each a round trip to Cassandra.
PURGE_SECONDS = 900.0

_decode_answer = msgspec.json.Decoder(Answer).decode
_decode_event = msgspec.json.Decoder(Event).decode


class NoAnswer(Unavailable):
    """The command was sent, but nothing is known of its fate."""

    def __init__(self, command: Command, seconds: float) -> None:
        super().__init__(
            f"no answer within {seconds:g} s: the command was sent (id {command.id}) and may still be carried out; "
            "perhaps no manager is running (`starling status`)"
        )
        self.command = command


class Commander:
    """Sends commands and hears the answers; `commander` makes one."""

    def __init__(self, settings: Settings, sender: AIOKafkaProducer, results: AIOKafkaConsumer) -> None:
        self._settings = settings
        self._sender = sender
        self._results = results
        self._topic = full_name(EVENT_COMMANDS, settings)
        self._answers: dict[str, Answer] = {}

    async def send(self, command: Command, partition: int | None = None) -> None:
        """Send a command; returns when Kafka has it. Raises Unavailable."""
        try:
            async with asyncio.timeout(self._settings.command_timeout):
                await self._sender.send_and_wait(
                    self._topic, msgspec.json.encode(command), command.code.encode(), partition
                )
        except (KafkaError, OSError, TimeoutError) as error:
            raise Unavailable(
                f"Kafka at {self._settings.kafka} did not confirm the command, which may or may not be carried out "
                f"(id {command.id}; {type(error).__name__})"
            ) from None

    async def answer(self, command: Command, seconds: float | None = None) -> Answer:
        """The answer to a command that was sent. Raises NoAnswer, after which it may be asked for again."""
        seconds = self._settings.command_timeout if seconds is None else seconds
        try:
            async with asyncio.timeout(seconds):
                while command.id not in self._answers:
                    await self._read()
        except TimeoutError:
            raise NoAnswer(command, seconds) from None
        return self._answers.pop(command.id)

    async def _read(self) -> None:
        for records in (await self._results.getmany(timeout_ms=POLL_MS)).values():
            for record in records:
                try:
                    self._answers[(record.key or b"").decode("utf-8", "replace")] = _decode_answer(record.value or b"")
                except msgspec.DecodeError:
                    continue  # not the manager's; the one waited for may still come

    async def refresh(self, who: str, why: str = "") -> list[Answer]:
        """Have every event sent again: a command to each partition, since each has its own writer."""
        partitions = sorted(await self._sender.partitions_for(self._topic))
        sent = [new_command("refresh", ALL_EVENTS, who, why) for _ in partitions]
        await asyncio.gather(
            *(self.send(command, partition) for command, partition in zip(sent, partitions, strict=True))
        )
        return [await self.answer(command) for command in sent]


@asynccontextmanager
async def commander(settings: Settings) -> AsyncIterator[Commander]:
    """A commander that hears everything answered from now on. Raises Unavailable."""
    async with reader(settings, EVENT_RESULTS, from_start=False) as (results, _), producer(settings) as sender:
        commands = full_name(EVENT_COMMANDS, settings)
        try:
            await sender.partitions_for(commands)
        except KafkaError:
            raise no_topic(commands) from None
        yield Commander(settings, sender, results)


async def ask(settings: Settings, command: Command) -> Answer:
    """Send one command and wait for its answer. Raises Unavailable, NoAnswer.

    A purge takes as long as its rows: once it is seen to be at work, its answer is waited for longer.
    """
    async with commander(settings) as sender:
        await sender.send(command)
        try:
            return await sender.answer(command)
        except NoAnswer:
            if command.action != "purge" or not await _is_purging(settings, command.code):
                raise
        return await sender.answer(command, PURGE_SECONDS)


async def refresh(settings: Settings, who: str, why: str = "") -> list[Answer]:
    """Have every event sent again; the answers of all partitions. Raises Unavailable, NoAnswer."""
    async with commander(settings) as sender:
        return await sender.refresh(who, why)


def told_again(answers: Iterable[Answer]) -> int:
    """How many events the managers have sent again, by their answers to a refresh."""
    return sum(int(count) for answer in answers if (count := answer.message.partition(" ")[0]).isdigit())


async def read_events(settings: Settings) -> dict[str, Event]:
    """All events by code as they stand now, deleted ones too. Raises Unavailable."""
    return await read_compacted(settings, EVENTS, _decode_event)


def new_command(action: Action, code: str, who: str, why: str = "", **rest: Any) -> Command:
    """A command with an id of its own, made now."""
    return Command(id=uuid.uuid4().hex, action=action, code=code, at=datetime.now(UTC), who=who, why=why, **rest)


async def _is_purging(settings: Settings, code: str) -> bool:
    event = (await read_events(settings)).get(code)
    return event is None or event.status == "purging"
