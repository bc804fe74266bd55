"""Tries an event's keywords on the raw posts that are kept, bounded by posts and by seconds, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from time import monotonic

from aiokafka.errors import KafkaError
from msgspec.structs import replace

from app.clients.kafka import unreachable
from app.clients.retained import kept_since
from app.clients.sampled import sampled
from app.domain.events import Event
from app.domain.preview import Counted, Limits, Preview, Stop, in_words
from app.domain.records import RawRecord
from app.domain.sampling import rounds
from app.domain.trial import Trial
from app.errors import Unavailable
from app.settings import Settings
from app.sources.source import Broken
from app.sources.x_counts import counted_by_x

_COUNT_SECONDS = 10.0
_SLICE = 8  # records that are tried at once


_USUAL = Limits()
Tell = Callable[[int, int], None]  # posts read so far, of these the hits


async def preview_of(
    settings: Settings, event: Event, since: datetime, limits: Limits = _USUAL, tell: Tell | None = None
) -> Preview:
    """What the event would find, whatever its status. To cancel it is harmless. Raises Unavailable."""
    counting = asyncio.create_task(_counted(settings, event))
    try:
        found = await _tried(settings, event, since, limits, tell)
        counted, why = await counting
    finally:
        counting.cancel()
    found = replace(found, counted=counted, counting_failed=why)
    return replace(found, words=tuple(in_words(found)))


async def _tried(settings: Settings, event: Event, since: datetime, limits: Limits, tell: Tell | None) -> Preview:
    now = datetime.now(UTC)
    trial = Trial(event, _ms(since), _ms(now), bluesky_filtered=settings.bluesky_filter)
    stopped_by: Stop = ""
    try:
        kept = await kept_since(settings, since)
        offsets = {number: (one.start, one.stop) for number, one in kept.stretches.items() if one.start < one.stop}
        if offsets:
            stopped_by = await _read(settings, trial, offsets, limits, tell)
    except (KafkaError, OSError) as error:
        raise unreachable(settings, error) from None
    return await asyncio.to_thread(trial.result, sum(stop - start for start, stop in offsets.values()), stopped_by)


async def _read(
    settings: Settings, trial: Trial, offsets: dict[int, tuple[int, int]], limits: Limits, tell: Tell | None
) -> Stop:
    """Have the trial take what can be read within the limits. Raises KafkaError, Unavailable."""
    try:
        # Kafka may take its time for the first answer; the limit is for what is read.
        async with (
            asyncio.timeout(settings.connect_timeout + limits.seconds),
            sampled(settings, list(offsets)) as source,
        ):
            deadline = monotonic() + limits.seconds
            for windows in rounds(offsets):
                for window, records in await source.read(windows):
                    for piece in _slices(records):
                        await asyncio.to_thread(trial.take, window, piece)
                        if trial.posts >= limits.posts:
                            return "posts"
                        if monotonic() > deadline:
                            return "seconds"
                if tell is not None:
                    tell(trial.posts, trial.hits)
    except TimeoutError:
        if not trial.posts:
            raise Unavailable(f"Kafka at {settings.kafka} has handed over no raw post in time; try again") from None
        return "seconds"
    return ""


def _slices(records: Sequence[RawRecord]) -> Iterator[Sequence[RawRecord]]:
    for start in range(0, len(records), _SLICE):
        yield records[start : start + _SLICE]


async def _counted(settings: Settings, event: Event) -> tuple[Counted | None, str]:
    if not settings.x_counts or settings.x_bearer_token is None:
        return None, ""
    try:
        async with asyncio.timeout(_COUNT_SECONDS):
            return await counted_by_x(settings, event), ""
    except TimeoutError:
        return None, "X does not answer in time"
    except Broken as broken:
        return None, str(broken)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
