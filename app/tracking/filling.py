"""Fills a gap from the source's search, where the user allows that: its posts are paid for.

The posts go the way of all others, marked `origin=search`; a post that was heard live keeps its row. The interval that
makes the gap good in the ledger follows behind them.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence

import msgspec
import orjson

from app.domain.backoff import Backoff
from app.domain.coverage import InForce, Interval
from app.domain.events import Event
from app.domain.heard import active_spans
from app.sources.source import Broken, Searchable
from app.topics import COVERAGE
from app.tracking.budget import Budget, month_of
from app.tracking.ledger import now_ms
from app.tracking.parcel import Parcel
from app.tracking.taking import parcel_of

log = logging.getLogger(__name__)

SHORTEST_MS = 1_000
_TRIES = 5


class Filler:
    """For one source; `put` sends."""

    def __init__(self, source: Searchable, budget: Budget, put: Callable[[Parcel], None]) -> None:
        self._source = source
        self._budget = budget
        self._put = put

    async def fill(self, events: Sequence[Event], since: int, until: int) -> None:
        """Search for the posts of a gap (milliseconds since 1970). Where that fails, the gap stays."""
        events = [event for event in events if _was_active(event, since, until)]
        if not events or until - since < SHORTEST_MS:
            return
        backoff = Backoff()
        for _ in range(_TRIES):
            if self._budget.exceeded() is not None:
                return
            try:
                await self._search(events, since, until)
            except Broken as broken:
                log.warning("a gap is not filled yet", extra={"source": self._source.name, "why": str(broken)})
                await asyncio.sleep(backoff.after(broken.trouble, retry_after=broken.retry_after))
            else:
                return

    async def _search(self, events: Sequence[Event], since: int, until: int) -> None:
        connection = f"search-{uuid.uuid4().hex[:8]}"
        posts = 0
        whole = False
        try:
            async for pages in self._source.search(events, since, until):
                for page in pages:
                    count = _count(page)
                    posts += count
                    self._budget.read(count)
                    parcel = parcel_of(self._source, [page], now_ms(), "search", connection)
                    self._put(msgspec.structs.replace(parcel, source=""))  # not of the connection that is listened to
                if self._budget.exceeded() is not None:
                    log.warning("a gap is not filled to its end", extra={"why": self._budget.exceeded()})
                    return
            whole = True
        finally:
            # What was read is paid for, also where it was not all: then the gap stays.
            self._tell(connection, events if whole else (), since, until, posts)

    def _tell(self, connection: str, events: Sequence[Event], since: int, until: int, posts: int) -> None:
        opened = now_ms()
        interval = Interval(
            source=self._source.name,
            connection=connection,
            opened=opened,
            since=since,
            until=until,
            ended="filled from recent search" if events else "recent search broke off",
            origin="search",
            posts=posts,
            events=[InForce(event.code, event.version, since) for event in events],
            reads={month_of(opened / 1000): posts},
        )
        self._put(Parcel(COVERAGE.name, msgspec.json.encode(interval), [], interval.key.encode()))
        log.info("recent search was asked for a gap", extra={"source": self._source.name, "posts": posts})


def _was_active(event: Event, since: int, until: int) -> bool:
    return any(start < until and since < end for start, end in active_spans(event, now_ms()))


def _count(page: bytes) -> int:
    """Posts of a page."""
    data = orjson.loads(page).get("data")
    return len(data) if isinstance(data, list) else 1
