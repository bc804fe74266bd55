"""What is frequent in events just now, as a process knows it: a view of `trends`, summed over a window."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

from app.clients.view import View
from app.domain.events import Event
from app.domain.trends import Lane, Trends, Window, decode_minute, found, trends, window_of
from app.settings import Settings
from app.topics import TRENDS, full_name
from tables.known_activity import KnownActivity

_MOST_KEPT = 64  # windows
Parts: TypeAlias = list[tuple[int, bytes]]


class KnownTrends:
    """Windows by event. One that was asked for is kept until a part of it changes: of whole minutes few do."""

    def __init__(self, settings: Settings, activity: KnownActivity) -> None:
        self.view: View[bytes] = View(settings, full_name(TRENDS, settings), bytes)
        self._activity = activity
        self._partitions = settings.partitions
        self._kept: dict[tuple[str, Window], tuple[int, Parts, Trends]] = {}

    async def of(self, event: Event, window: Window, now: int) -> Trends:
        """The trends of an event, of its present life; `now` in milliseconds since 1970."""
        first, _ = window_of(self._activity.of(event).minutes, window, now)
        lanes = (Lane(event.code, event.born, number) for number in range(self._partitions))
        parts = list(found(self.view.items, lanes, first, window))
        known = self._kept.get((event.code, window))
        if known is None or known[0] != first or not _same(known[1], parts):
            # An hour of a busy event is many thousand names: nobody else waits for that.
            made = await asyncio.to_thread(_sum, window, first, parts)
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            known = self._kept[event.code, window] = first, parts, made
        return known[2]


def _sum(window: Window, first: int, parts: Parts) -> Trends:
    return trends(window, first, ((minute, decode_minute(value)) for minute, value in parts))


def _same(some: Parts, others: Parts) -> bool:
    return len(some) == len(others) and all(one[1] is other[1] for one, other in zip(some, others, strict=True))
