"""Follows the progress of a rematch, as the topic `rematches` tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from app.clients.compacted import POLL_MS, has_reached, reader
from app.clients.kafka import unreachable
from app.domain.rematch import Progress
from app.settings import Settings
from app.topics import REMATCHES

decode_progress = msgspec.json.Decoder(Progress).decode


async def read_progress(settings: Settings, code: str) -> Progress | None:
    """How far the last rematch of an event is; None if there was none. Raises Unavailable."""
    async for progress in _progresses(settings, code):
        return progress
    return None


async def follow(settings: Settings, code: str, version: int) -> AsyncIterator[Progress]:
    """The progress of the rematch wished at `version`, or of one that took it up, until it is over; each time it moves.

    Nothing while none has begun. Raises Unavailable.
    """
    async for progress in _progresses(settings, code):
        if progress is not None and progress.version >= version:
            yield progress
            if progress.over:
                return


async def _progresses(settings: Settings, code: str) -> AsyncIterator[Progress | None]:
    """What stands of a code, and whatever comes after it."""
    newest: Progress | None = None
    async with reader(settings, REMATCHES, from_start=True) as (consumer, ends):
        deadline = asyncio.get_running_loop().time() + settings.command_timeout
        complete = False
        while True:
            batches = await consumer.getmany(timeout_ms=POLL_MS)
            told = [record for records in batches.values() for record in records if record.key == code.encode()]
            for record in told:
                newest = _decoded(record.value, newest)
            if not complete:
                complete = await has_reached(consumer, ends)
                if complete:
                    yield newest
                elif asyncio.get_running_loop().time() > deadline:
                    raise unreachable(settings, TimeoutError())
            elif told:
                yield newest


def _decoded(value: bytes | None, before: Progress | None) -> Progress | None:
    if value is None:
        return None
    try:
        return decode_progress(value)
    except msgspec.DecodeError:
        return before  # written by something else; the views pass over it too
