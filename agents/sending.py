"""Sends records and returns when Kafka has them. Lower than Faust's `Topic.send`, whose objects cost most of a send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

import faust
import msgspec

from app.domain.decisions import Answer
from app.domain.events import Event
from app.domain.records import DeadLetter, Headers
from app.metrics import DEAD_LETTERS as DEAD_LETTERS_SENT
from app.settings import Settings
from app.topics import DEAD_LETTERS, EVENT_RESULTS, EVENTS, full_name


class Outgoing(NamedTuple):
    """A record to send; without a partition, the key decides."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None
    partition: int | None = None


async def send_all(app: faust.App, records: Iterable[Outgoing]) -> None:
    """Send records; return when the brokers have acknowledged every one. Raises KafkaError."""
    sent = [
        await app.producer.send(record.topic, record.key, record.value, record.partition, None, record.headers)
        for record in records
    ]
    if sent:
        await asyncio.gather(*sent)


def bury(letters: Iterable[DeadLetter], settings: Settings) -> list[Outgoing]:
    """Records for `dead_letters`; the id as key lets a reader see repetitions."""
    topic = full_name(DEAD_LETTERS, settings)
    buried = [Outgoing(topic, letter.id.encode(), letter.value, letter.headers()) for letter in letters]
    for letter in letters:
        DEAD_LETTERS_SENT.labels(letter.cause).inc()
    return buried


def event_record(event: Event, settings: Settings) -> Outgoing:
    """The record of `events` that tells an event, whole."""
    return Outgoing(full_name(EVENTS, settings), event.code.encode(), msgspec.json.encode(event))


def result_record(answer: Answer, settings: Settings) -> Outgoing:
    """The record of `event_results` that holds an answer."""
    return Outgoing(full_name(EVENT_RESULTS, settings), answer.id.encode(), msgspec.json.encode(answer))
