"""What is frequent in an event just now, read from Kafka by who follows no view."""

from __future__ import annotations

import asyncio

from app.clients.compacted import read_compacted
from app.domain.activity import of_event
from app.domain.bursts import Bursts, bursts
from app.domain.events import Event
from app.domain.trends import Lane, Trends, Window, decode_minute, found, trends, window_of
from app.settings import Settings
from app.topics import ACTIVITY, TRENDS


async def read_trends(settings: Settings, event: Event, window: Window, now: int) -> tuple[Trends, Bursts]:
    """The trends and bursts of an event; `now` in milliseconds since 1970. Raises Unavailable."""
    counts, minutes = await asyncio.gather(
        read_compacted(settings, ACTIVITY, bytes), read_compacted(settings, TRENDS, bytes)
    )
    activity = of_event(event.code, event.born, counts)
    first, _ = window_of(activity.minutes, window, now)
    keys = (key.rpartition("|") for key in counts)
    lanes = (Lane(event.code, event.born, int(partition)) for code, _, partition in keys if code == event.code)
    values = found(minutes, lanes, first, window)
    whole = trends(window, first, ((minute, decode_minute(value)) for minute, value in values))
    return whole, bursts(activity, window, now)
