"""Fills gaps from the source's search, where the user allows that: its posts are paid for.

A gap is of all events, as between two connections, or of some: what the source was not asked for while it was listened
to, as it had lost it, and what was heard and is lost here.

The posts go the way of all others, marked `origin=search`; a post that was heard live keeps its row. A gap has an entry
of its own in the ledger: while it is searched for, only what was read stands there, as that is paid for whatever comes
of it; that the gap is made good is written once its posts are in Kafka or on disk. So a tracker that takes over from
one that died finds in the ledger what is left to be filled.

Each event is searched for as it was at the time of the gap, though it may have ended or changed since; the records name
that time (`as_of`), so that the classifiers take it so, too.

What an event wished to hear of the past (`wishing`) is searched for in the same way. Its records name the event, so it
goes to no other; and its entry says where to go on after a kill, once all that came before is in Kafka or on disk.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from itertools import pairwise
from zlib import crc32

import msgspec
import orjson
from msgspec import Struct

from app.domain.backoff import Backoff
from app.domain.coverage import InForce, Interval, Refusal, Wish
from app.domain.events import Event
from app.domain.heard import active_spans
from app.domain.lately import became, moments
from app.domain.rematch import cannot_hear
from app.domain.spans import Span, rest, union
from app.domain.tracked import tracked_at
from app.sources.source import Asking, Broken, Found, Place, Searchable
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

    asking: Asking
    entry: Interval
    place: Place = Place()


class Filler:
    """For one source. `left` is what nobody had filled when this tracker took over, `lost` that of some events only.

    `away` is when nobody wanted to hear it, as it was not among those that the settings name, or was not to be paid
    for: that is no gap. `heard` waits for what this process has on disk still, and says when that claims to have heard.
    """

    def __init__(
        self,
        source: Searchable,
        budget: Budget,
        outbox: Outbox,
        events: Callable[[], Iterable[Event]],
        left: Iterable[Span] = (),
        away: Iterable[Span] = (),
        heard: Callable[[], Awaitable[list[Span]]] | None = None,
        lost: Mapping[str, Sequence[Span]] | None = None,
    ) -> None:
        self._source = source
        self._budget = budget
        self._outbox = outbox
        self._events = events
        self._left = list(left)
        self._lost = {code: list(spans) for code, spans in (lost or {}).items()}
        self._away = union(away)
        self._heard = heard
        self._gaps: list[_Gap] = []
        self._searching = asyncio.Lock()  # a gap is not searched for twice at once
        self._next = asyncio.Lock()  # nor do more than one wait for that: a search may last for days

    async def fill(self, missed: Iterable[Span], lost: Mapping[str, Iterable[Span]] | None = None) -> None:
        """Search for the posts of gaps, `lost` of some events, and of those that are left from before.

        Where that fails, the gap is left.
        """
        self._left += missed
        for code, some in (lost or {}).items():
            self._lost.setdefault(code, []).extend(some)
        if self._next.locked():
            return  # the one that waits for its turn takes these too
        async with self._next:
            await self._searching.acquire()
        try:
            await self._fill_all()
        finally:
            self._searching.release()

    async def _fill_all(self) -> None:
        gaps, self._left = self._left, []
        of_some, self._lost = self._lost, {}
        if self._heard is not None:
            gaps = rest(gaps, await self._heard())
        events = [event for event in self._events() if cannot_hear(event) is None]
        self._gaps += [self._gap(*part) for span in rest(gaps, self._away) for part in _parts(events, span)]
        for span, codes in _by_span(of_some, union([*gaps, *self._away])).items():
            self._gaps += [self._gap(*part) for part in _parts([one for one in events if one.code in codes], span)]
        for gap in list(self._gaps):
            if await self._fill(gap):
                self._gaps.remove(gap)

    async def hear(self, event: Event, entry: Interval, wish: Wish) -> bool:
        """Search for what an event wished to hear, from where its entry says; whether that is done.

        The entry is told as it goes. Cancelled, it goes on from there.
        """
        asking, place = self._source.asking([event]), Place(wish.query, wish.page)
        gap = _Gap(asking, entry, place if _asked(asking, place) == wish.asked else Place())
        if not await self._fill(gap):
            if self._source.selective:
                wish.page = gap.place.page  # perhaps it is the page that is refused; a cursor never is
                self._tell_part(entry)
            return False
        if wish.state != "done":  # nothing of it is within its reach
            wish.state = "done"
            self._tell_part(entry)
        return True

    def _gap(self, events: list[Event], since: int, until: int) -> _Gap:
        entry = Interval(
            source=self._source.name,
            connection=f"search-{uuid.uuid4().hex[:8]}",
            opened=now_ms(),
            since=since,
            until=until,
            origin="search",
        )
        return _Gap(self._source.asking(events), entry)

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
                self._note(gap, "is not filled yet", str(broken))
                await asyncio.sleep(backoff.after(broken.trouble, retry_after=broken.retry_after))
        gap.place = Place(gap.place.query)  # perhaps it is the page that is refused
        return False

    def _clip(self, gap: _Gap) -> bool:
        """Leave out what search does not reach; whether something is left."""
        reach_ms = self._source.reach_ms
        if reach_ms is not None and gap.entry.since < (oldest := now_ms() - reach_ms) + _NEAR_MS:
            gap.entry.since = oldest + MARGIN_MS
            gap.place = Place(gap.place.query)
            log.warning("a gap reaches back beyond recent search", extra={"source": self._source.name})
        return gap.entry.until - gap.entry.since >= SHORTEST_MS

    async def _search(self, gap: _Gap) -> bool:
        """Whether it came to its end. Raises Broken."""
        entry = gap.entry
        if (over := self._budget.exceeded()) is not None:
            self._note(gap, "is not filled to its end", over)
            return False
        async with aclosing(self._source.search(gap.asking, entry.since, entry.until, gap.place)) as search:
            async for found in search:
                self._took(gap, found)
                if entry.wish is not None:
                    await self._come(gap, entry.wish, found)
                try:
                    await self._outbox.room()
                except SpoolFull as full:
                    self._note(gap, "is not filled to its end", str(full))
                    return False
                if (over := self._budget.exceeded()) is not None:
                    self._note(gap, "is not filled to its end", over)
                    return False
        await self._kept(entry)
        entry.ended = "filled from recent search" if entry.wish is None else "heard as it was wished"
        if entry.wish is not None:
            entry.wish.state, entry.wish.why = "done", ""
        asked, refused = gap.asking.codes, gap.asking.refused
        # A wish may reach back before the edit that it was made after: of that time other keywords were wanted.
        entry.events = [
            InForce(one.code, one.version, max(entry.since, became(one)))
            for one in gap.asking.events
            if one.code in asked
        ]
        entry.refused = [Refusal(code, entry.since, tuple(what)) for code, what in refused.items()]
        self._tell(entry)
        log.info(entry.ended, extra={"source": self._source.name, "posts": entry.posts})
        return True

    def _took(self, gap: _Gap, found: Found) -> None:
        entry = gap.entry
        gap.place = found.then
        if found.since_ms is not None:
            entry.since = max(entry.since, found.since_ms)
        if not found.line:
            return
        posts, month = _count(found.line), month_of(now_ms() / 1000)
        self._outbox.put(msgspec.structs.replace(self._parcel(entry, found.line), source=""))
        entry.posts += posts
        entry.reads[month] = entry.reads.get(month, 0) + posts
        self._budget.read(posts)
        self._tell_part(entry)

    def _parcel(self, entry: Interval, line: bytes) -> Parcel:
        """Not of the connection that is listened to."""
        if entry.wish is None:
            return parcel_of(self._source, [line], now_ms(), "search", entry.connection, as_of=entry.since)
        finds, code = self._source.finds, entry.wish.code
        return parcel_of(self._source, [line], now_ms(), finds, entry.connection, event=code)

    async def _come(self, gap: _Gap, wish: Wish, found: Found) -> None:
        """So far has it come, for whoever goes on with it: once all before is kept."""
        await self._kept(gap.entry)
        wish.state, wish.why, wish.reached = "running", "", found.reached_ms
        wish.query, wish.page, wish.asked = gap.place.query, gap.place.page, _asked(gap.asking, gap.place)
        self._tell_part(gap.entry)

    async def _kept(self, entry: Interval) -> None:
        while self._outbox.holds(entry.connection):  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(_LOOK_SECONDS)

    def _note(self, gap: _Gap, what: str, why: str) -> None:
        wish = gap.entry.wish
        log.warning(
            "%s %s", "a gap" if wish is None else "a wish", what, extra={"source": self._source.name, "why": why}
        )
        if wish is not None:
            wish.state, wish.why = "waiting", why
            self._tell_part(gap.entry)

    def _tell_part(self, entry: Interval) -> None:
        """What was read, of a search that is not at its end."""
        ended = "recent search broke off" if entry.wish is None else "not heard to its end"
        self._tell(msgspec.structs.replace(entry, until=entry.since, ended=ended))

    def _tell(self, entry: Interval) -> None:
        self._outbox.put(Parcel(COVERAGE.name, msgspec.json.encode(entry), [], entry.key.encode()))


def _by_span(lost: Mapping[str, Iterable[Span]], but: list[Span]) -> dict[Span, set[str]]:
    """The events that have lost a time, of all such times; but for some."""
    found: dict[Span, set[str]] = {}
    for code, spans in lost.items():
        for span in rest(union(spans), but):
            found.setdefault(span, set()).add(code)
    return found


def _parts(events: Sequence[Event], span: Span) -> Iterator[tuple[list[Event], int, int]]:
    """A gap cut where events began or ended to be active or changed, each part with the events as they were then."""
    now = now_ms()
    active = [(event, active_spans(event, now)) for event in events]
    since, until = span
    edges = {edge for _, spans in active for one in spans for edge in one} | set(moments(events))
    for start, end in pairwise(sorted({since, until} | {edge for edge in edges if since < edge < until})):
        there = [event for event, spans in active if any(begun <= start and end <= over for begun, over in spans)]
        if there and end - start >= SHORTEST_MS:
            yield [as_it_was(event, start) for event in there], start, end


def as_it_was(event: Event, at: int) -> Event:
    """What it selected then, as far as its history tells; a change is known to the millisecond."""
    then = tracked_at(event, datetime.fromtimestamp((at + 1) / 1000, UTC))
    if then is None or not then.whole:
        return event
    return msgspec.structs.replace(
        event,
        version=then.version,
        keywords=then.keywords,
        accounts=then.accounts,
        boxes=then.boxes,
        languages=then.languages,
    )


def _asked(asking: Asking, place: Place) -> int:
    """Checksum of the queries up to a place."""
    return crc32("\n".join(query.text for query in asking.queries[: place.query + 1]).encode())


def _count(lines: bytes) -> int:
    """Posts of a page, or of several lines."""
    return sum(_count_of(line) for line in lines.split(b"\n"))


def _count_of(line: bytes) -> int:
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError:
        return 1
    posts = data.get("data") if isinstance(data, dict) else None
    return len(posts) if isinstance(posts, list) else 1
