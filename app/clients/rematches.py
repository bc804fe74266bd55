"""Follows the progress of a rematch, as the topic `rematches` tells it, or the ledger where a source is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import msgspec
from aiokafka import ConsumerRecord

from app.clients.compacted import POLL_MS, has_reached, reader
from app.clients.kafka import unreachable
from app.domain.coverage import Interval, entry
from app.domain.events import Rematch
from app.domain.rematch import Progress
from app.domain.wishes import Heard, entry_of, heard_by
from app.settings import Settings
from app.topics import COVERAGE, REMATCHES, Topic

T = TypeVar("T")

decode_progress = msgspec.json.Decoder(Progress).decode


async def read_progress(settings: Settings, code: str) -> Progress | None:
    """How far the last rematch of an event is; None if there was none. Raises Unavailable."""
    async for progress in _newest(settings, REMATCHES, _of(code), decode_progress):
        return progress
    return None


async def follow(settings: Settings, code: str, version: int) -> AsyncIterator[Progress]:
    """The progress of the rematch wished at `version`, or of one that took it up, until it is over; each time it moves.

    Nothing while none has begun. Raises Unavailable.
    """
    async for progress in _newest(settings, REMATCHES, _of(code), decode_progress):
        if progress is not None and progress.version >= version:
            yield progress
            if progress.over:
                return


def _of(code: str) -> Callable[[ConsumerRecord], bool]:
    return lambda record: bool(record.key == code.encode())


async def follow_source(settings: Settings, wish: Rematch, code: str) -> AsyncIterator[Heard]:
    """How far a source is with what an event wished to hear, until it is done or refused; each time it moves.

    Raises Unavailable.
    """

    def about(record: ConsumerRecord) -> bool:
        # A ledger has thousands of entries: most are told apart without being read.
        return b'"wish"' in (record.value or b"") and f'"code":"{code}"'.encode() in record.value

    def decode(value: bytes) -> Interval | None:
        return entry_of([entry(value)], code, wish)

    async for found in _newest(settings, COVERAGE, about, decode):
        heard = heard_by(wish, found)
        yield heard
        if heard.over:
            return


async def _newest(
    settings: Settings, topic: Topic, about: Callable[[ConsumerRecord], bool], decode: Callable[[bytes], T | None]
) -> AsyncIterator[T | None]:
    """The newest of some records of a compacted topic, and whatever comes after it; what decodes as None is none."""
    newest: T | None = None
    async with reader(settings, topic, from_start=True) as (consumer, ends):
        deadline = asyncio.get_running_loop().time() + settings.command_timeout
        complete = False
        while True:
            batches = await consumer.getmany(timeout_ms=POLL_MS)
            told = [record for records in batches.values() for record in records if about(record)]
            for record in told:
                newest = _decoded(record.value, decode, newest)
            if not complete:
                complete = await has_reached(consumer, ends)
                if complete:
                    yield newest
                elif asyncio.get_running_loop().time() > deadline:
                    raise unreachable(settings, TimeoutError())
            elif told:
                yield newest


def _decoded(value: bytes | None, decode: Callable[[bytes], T | None], before: T | None) -> T | None:
    if value is None:
        return None
    try:
        return decode(value) or before
    except msgspec.DecodeError:
        return before  # written by something else; the views pass over it too
