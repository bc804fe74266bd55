"""Carries out wishes that an event hear the past from a source, one after the other, the oldest first.

What is done stands in the ledger, and how far it is where it is not: a tracker that takes over goes on from there.
The event is searched for as it was when it was wished, so that the place is the same place later.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Literal

import msgspec

from app.domain.coverage import Entry, Interval, Wish
from app.domain.events import Event, Rematch
from app.domain.wishes import asked_ms, entry_of, source_wishes, span_of
from app.topics import COVERAGE
from app.tracking.filling import Filler, as_it_was
from app.tracking.ledger import now_ms
from app.tracking.parcel import Parcel

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_AGAIN_SECONDS = 60.0  # after it was left: the budget is of a month, and a server may be away for long


class Wisher:
    """For one source and one tenure of the lease. Without a filler it tells why nothing can be asked for."""

    def __init__(
        self,
        source: str,
        filler: Filler | None,
        why_not: str,
        wanted: Callable[[], Sequence[Event]],
        entries: Callable[[], Iterable[Entry]],
        put: Callable[[Parcel], None],
    ) -> None:
        self._source = source
        self._filler = filler
        self._why_not = why_not
        self._wanted = wanted
        self._entries = entries
        self._put = put
        self._again: dict[tuple[str, int], float] = {}  # when to look at a wish once more; done ones never

    async def run(self) -> None:
        """Carry out what is wished, for ever; cancel it to end."""
        while True:
            if (due := self._due()) is not None:
                await self._carry_out(*due)
            await asyncio.sleep(_LOOK_SECONDS)

    def _due(self) -> tuple[Event, Rematch, Interval | None] | None:
        """The oldest wish that is not done, with what the ledger has of it."""
        open_ones = [
            (asked_ms(event, wish), event, wish)
            for event in self._wanted()
            for wish in source_wishes(event)
            if wish.source == self._source and self._again.get((event.code, wish.version), 0.0) <= monotonic()
        ]
        if not open_ones:
            return None
        entries = list(self._entries())
        for _, event, wish in sorted(open_ones, key=lambda one: one[0]):
            entry = entry_of(entries, event.code, wish)
            if entry is None or entry.wish is None or entry.wish.state != "done":
                return event, wish, entry
            self._again[event.code, wish.version] = float("inf")
        return None

    async def _carry_out(self, event: Event, wish: Rematch, known: Interval | None) -> None:
        since, until = span_of(event, wish)
        told = Wish(code=event.code, version=wish.version)
        entry = Interval(
            source=self._source,
            connection=f"wish-{uuid.uuid4().hex[:8]}",
            opened=now_ms(),
            since=since,
            until=until,
            origin="search",
            wish=told,
        )
        if known is not None and known.wish is not None:
            # A copy: what the view holds is the view's. While it was not done, its end stood for nothing.
            told = msgspec.structs.replace(known.wish)
            reads = dict(known.reads)
            entry = msgspec.structs.replace(known, until=until, ended=None, reads=reads, wish=told)
        if self._filler is None:
            self._leave(entry, told, "refused", self._why_not)
            self._again[event.code, wish.version] = float("inf")
            return
        log.info("a wish is carried out", extra={"code": event.code, "source": self._source})
        self._again[event.code, wish.version] = monotonic() + _AGAIN_SECONDS
        try:
            done = await self._hear(self._filler, event, as_it_was(event, asked_ms(event, wish)), entry, told)
        except Exception as error:
            # What is heard live goes on.
            log.exception("a wish failed", extra={"code": event.code, "source": self._source})
            self._leave(entry, told, "waiting", f"{self._source} failed ({type(error).__name__})")
            return
        if done:
            self._again[event.code, wish.version] = float("inf")
        elif not self._wants(event):
            self._again[event.code, wish.version] = 0.0
            self._leave(entry, told, "waiting", "the event collects nothing now")

    async def _hear(self, filler: Filler, event: Event, then: Event, entry: Interval, told: Wish) -> bool:
        """Whether it is done. It ends where the event collects no more, and goes on when it does again."""
        hearing = asyncio.create_task(filler.hear(then, entry, told))
        try:
            while not hearing.done() and self._wants(event):
                await asyncio.wait([hearing], timeout=_LOOK_SECONDS)
            return hearing.done() and hearing.result()
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    def _wants(self, event: Event) -> bool:
        return any(one.code == event.code for one in self._wanted())

    def _leave(self, entry: Interval, told: Wish, state: Literal["waiting", "refused"], why: str) -> None:
        if (told.state, told.why) != (state, why):
            told.state, told.why = state, why
            entry = msgspec.structs.replace(entry, until=entry.since, ended="not heard to its end")
            self._put(Parcel(COVERAGE.name, msgspec.json.encode(entry), [], entry.key.encode()))
