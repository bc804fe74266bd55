"""Fills gaps from the source's search, where the user allows that: its posts are paid for.

The posts go the way of all others, marked `origin=search`; a post that was heard live keeps its row. A gap has an entry
of its own in the ledger: while it is searched for, only what was read stands there, as that is paid for whatever comes
of it; that the gap is made good is written once its posts are in Kafka or on disk. So a tracker that takes over from
one that died finds in the ledger what is left to be filled.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import msgspec
import orjson
from msgspec import Struct

from app.domain.backoff import Backoff
from app.domain.coverage import InForce, Interval
from app.domain.events import Event
from app.domain.heard import active_spans
from app.domain.spans import Span, rest, union
from app.sources.source import Broken, Found, Place, Searchable
from app.topics import COVERAGE
from app.tracking.budget import Budget, month_of
from app.tracking.ledger import now_ms
from app.tracking.outbox import Outbox
from app.tracking.parcel import Parcel
from app.tracking.spool import SpoolFull
from app.tracking.taking import parcel_of

log = logging.getLogger(__name__)

SHORTEST_MS = 1_000
# A search takes its time, and one that reaches back too far is refused as a whole: it begins well inside of the reach.
MARGIN_MS = 3_600_000
_NEAR_MS = 60_000
_TRIES = 5  # in a row, without anything found between
_LOOK_SECONDS = 0.2


class _Gap(Struct):
    """A time in which the same events were active and not heard, and how far the search for their posts is."""

    events: list[Event]
    entry: Interval
    place: Place = Place()


class Filler:
    """For one source. `left` is what nobody had filled when this tracker took over.

    `away` is when nobody wanted to hear it, as it was not among those that the settings name: that is no gap.
    """

    def __init__(
        self, source: Searchable, budget: Budget, outbox: Outbox, left: Iterable[Span] = (), away: Iterable[Span] = ()
    ) -> None:
        self._source = source
        self._budget = budget
        self._outbox = outbox
        self._left = list(left)
        self._away = union(away)
        self._gaps: list[_Gap] = []
        self._searching = asyncio.Lock()  # a gap is not searched for twice at once

    async def fill(self, events: Sequence[Event], missed: Iterable[Span]) -> None:
        """Search for the posts of gaps, and of those that are left from before. Where that fails, the gap is left."""
        spans, self._left = rest([*self._left, *missed], self._away), []
        self._gaps += [self._gap(*part) for span in spans for part in _parts(events, span)]
        async with self._searching:
            for gap in list(self._gaps):
                if await self._fill(gap):
                    self._gaps.remove(gap)

    def _gap(self, events: list[Event], since: int, until: int) -> _Gap:
        entry = Interval(
            source=self._source.name,
            connection=f"search-{uuid.uuid4().hex[:8]}",
            opened=now_ms(),
            since=since,
            until=until,
            origin="search",
        )
        return _Gap(events, entry)

    async def _fill(self, gap: _Gap) -> bool:
        """Whether nothing of the gap is left to be filled."""
        backoff, tries = Backoff(), 0
        while tries < _TRIES:
            if not self._clip(gap):
                return True
            before = gap.place
            try:
                return await self._search(gap)
            except Broken as broken:
                if gap.place != before:
                    backoff, tries = Backoff(), 0
                tries += 1
                log.warning("a gap is not filled yet", extra={"source": self._source.name, "why": str(broken)})
                await asyncio.sleep(backoff.after(broken.trouble, retry_after=broken.retry_after))
        gap.place = Place(gap.place.query)  # perhaps it is the page that is refused
        return False

    def _clip(self, gap: _Gap) -> bool:
        """Leave out what search does not reach; whether something is left."""
        oldest = now_ms() - self._source.reach_ms
        if gap.entry.since < oldest + _NEAR_MS:
            gap.entry.since = oldest + MARGIN_MS
            gap.place = Place(gap.place.query)
            log.warning("a gap reaches back beyond recent search", extra={"source": self._source.name})
        return gap.entry.until - gap.entry.since >= SHORTEST_MS

    async def _search(self, gap: _Gap) -> bool:
        """Whether it came to its end. Raises Broken."""
        entry = gap.entry
        if (over := self._budget.exceeded()) is not None:
            log.warning("a gap is not filled to its end", extra={"why": over})
            return False
        async for found in self._source.search(gap.events, entry.since, entry.until, gap.place):
            self._took(gap, found)
            try:
                await self._outbox.room()
            except SpoolFull as full:
                log.warning("a gap is not filled to its end", extra={"why": str(full)})
                return False
            if (over := self._budget.exceeded()) is not None:
                log.warning("a gap is not filled to its end", extra={"why": over})
                return False
        while self._outbox.holds(entry.connection):  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(_LOOK_SECONDS)
        entry.ended = "filled from recent search"
        entry.events = [InForce(event.code, event.version, entry.since) for event in gap.events]
        self._tell(entry)
        log.info("a gap is filled from recent search", extra={"source": self._source.name, "posts": entry.posts})
        return True

    def _took(self, gap: _Gap, found: Found) -> None:
        entry = gap.entry
        posts, month = _count(found.line), month_of(now_ms() / 1000)
        parcel = parcel_of(self._source, [found.line], now_ms(), "search", entry.connection)
        self._outbox.put(msgspec.structs.replace(parcel, source=""))  # not of the connection that is listened to
        gap.place = found.then
        entry.posts += posts
        entry.reads[month] = entry.reads.get(month, 0) + posts
        self._budget.read(posts)
        self._tell(msgspec.structs.replace(entry, until=entry.since, ended="recent search broke off"))

    def _tell(self, entry: Interval) -> None:
        self._outbox.put(Parcel(COVERAGE.name, msgspec.json.encode(entry), [], entry.key.encode()))


def _parts(events: Sequence[Event], span: Span) -> Iterator[tuple[list[Event], int, int]]:
    """A gap cut where events began or ended to be active, so that none is given what was said while it was not."""
    now = now_ms()
    active = [(event, active_spans(event, now)) for event in events]
    since, until = span
    edges = {edge for _, spans in active for one in spans for edge in one if since < edge < until}
    for start, end in pairwise(sorted({since, until} | edges)):
        there = [event for event, spans in active if any(begun <= start and end <= over for begun, over in spans)]
        if there and end - start >= SHORTEST_MS:
            yield there, start, end


def _count(page: bytes) -> int:
    """Posts of a page."""
    data = orjson.loads(page).get("data")
    return len(data) if isinstance(data, list) else 1
