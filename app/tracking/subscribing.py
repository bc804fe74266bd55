"""What one source is asked for: the events that are active, followed as they change.

The ledger has each step of it: what the source has taken, what it has not, and what it turns out to have lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence

from msgspec import Struct

from app.domain.backoff import Backoff, Trouble
from app.domain.coverage import HAD_LOST_IT, IDLE, Interval
from app.domain.events import Event
from app.domain.spans import Span
from app.sources.source import Broken, Selection, Source, Sure
from app.tracking.clock import boottime
from app.tracking.ledger import Ledger, now_ms
from app.tracking.taking import Taker

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
_MOST_STEPS = 5  # of what a source has to do one after the other; the rest is done while it listens
_TAKE_BACK_TRIES = 8  # that is about ten minutes, as X counts its back-off


class _PutOff(Struct, frozen=True):
    """What was wanted could not be asked for."""

    wanted: dict[str, int]
    why: str
    until: float  # by `boottime`; not before that, or
    by_edit: bool  # until something else is wanted


class Subscription:
    """Of one source, for one tenure of the lease."""

    def __init__(
        self, source: Source, taker: Taker, ledger: Ledger, wanted: Callable[[], Sequence[Event]], sure: Sure
    ) -> None:
        self._source = source
        self._taker = taker
        self._ledger = ledger
        self._wanted = wanted
        self._sure = sure
        self._asked: dict[str, int] = {}
        self._again_at = 0.0  # by `boottime`; when it is to be asked for the same again
        self._backoff = Backoff()
        self._put_off: _PutOff | None = None
        self._taking_back = Backoff()
        self._taken_back = 0  # how often that was tried; _TAKE_BACK_TRIES: no more
        self._take_back_at = 0.0  # by `boottime`
        self._standing = Selection()  # what the source is asked for, as it has said last
        # The version of an event that it is asked for, and since when; None: of one that it has refused as a whole.
        self._since: dict[str, tuple[int | None, int]] = {}
        self._lost: dict[str, int] = {}  # the events that it has lost, each with the moment when it was seen there last
        self._missed: dict[str, list[Span]] = {}
        self.told = Selection()  # the same, and what of that which is wanted is not

    def versions(self) -> dict[str, int]:
        """The version of each event that is wanted now."""
        return {event.code: event.version for event in self._wanted()}

    @property
    def asked_since(self) -> dict[str, int]:
        """Since when the source has been asked for each event as it is now; of one that needs not be asked nothing."""
        return {code: since for code, (_, since) in self._since.items()} if self._source.selective else {}

    def take_over(self, last: Interval | None) -> None:
        """What the connection before was asked for, by whichever tracker, the source has been asked for since then."""
        if last is not None:
            self._since = {one.code: (one.version, one.since) for one in last.events if one.until is None}

    def missed(self) -> dict[str, list[Span]]:
        """When events were not asked for, as the source had lost them. It is told once, when that is over."""
        missed, self._missed = self._missed, {}
        return missed

    async def unedited(self, versions: dict[str, int], seconds: float) -> None:
        """Return when other events, or other versions of them, are wanted, or after so long."""
        until = boottime() + seconds
        while (left := until - boottime()) > 0 and self.versions() == versions:  # noqa: ASYNC110 -- a view tells nobody
            await asyncio.sleep(min(LOOK_SECONDS, left))

    async def renew(self) -> None:
        """Ask the source for the events before it is connected. Raises Broken where nothing is known to stand there.

        Else that is heard on, where Kafka is away or the source does not speak of it now; changes are put off.
        """
        off = self._put_off
        if off is not None and not off.by_edit and boottime() < off.until and self._standing.versions:
            self._not_taken(self.versions(), off.why)
            return
        wanted = self.versions()
        try:
            await self._select()
        except Broken as broken:
            if not self._standing.versions:
                raise
            self._refused(wanted, broken)

    async def follow(self, changed: Callable[[], None]) -> None:
        """Bring each change of an event to the source, and have it look again; returns when none is active.

        `changed` is called when a selective source is asked for something else.
        """
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._put_off is not None:
                # What is in force may be neither what was asked for before nor what is wanted.
                await self._wait(self._put_off)
            wanted = self.versions()
            if not wanted:
                return
            if wanted == self._asked and self._put_off is None and boottime() < self._again_at:
                continue
            before = self._standing
            try:
                await self._select()
                if self._source.selective and not _are_alike(self._standing, before):
                    changed()
            except Broken as broken:
                self._refused(wanted, broken)

    async def take_back(self) -> None:
        """Ask the source for nothing any more, where that is due; to be called while no event is active.

        What it is asked for without a connection costs nothing: after some tries it is left to the next connection.
        """
        if self._taken_back >= _TAKE_BACK_TRIES or boottime() < self._take_back_at or not self._sure():
            return
        try:
            await self._ask_for([])
        except Broken as broken:
            words = f"{IDLE}; {self._source.name} does not take back what it was asked for: {broken}"
            seconds = self._taking_back.after(broken.trouble, retry_after=broken.retry_after)
            self._taken_back, self._take_back_at = self._taken_back + 1, boottime() + max(1.0, seconds)
        else:
            self._asked, words = {}, IDLE if self._taken_back else ""
            self._taken_back = _TAKE_BACK_TRIES
        if words:
            self._ledger.say("idle", words)
            self._ledger.tell_status()

    async def _select(self) -> None:
        """Ask the source for the events as they are now."""
        events = self._wanted()
        asked = {event.code: event.version for event in events}
        lately = self._taker.lately
        if self._source.selective:
            self._taker.flush()
            lately.begin(self._asked, asked)
        self._taking_back, self._taken_back, self._take_back_at = Backoff(), 0, 0.0
        try:
            await self._ask_for(events)
        finally:
            lately.end(boottime())
        self._asked = asked
        self._put_off, self._backoff = None, Backoff()

    async def _ask_for(self, events: Sequence[Event]) -> None:
        """Have the source asked for these events, and write down each step of what it is asked for."""
        for _ in range(_MOST_STEPS):
            selection = await self._source.select(events, self._sure)
            if selection.since_ms is not None:
                self._disprove(selection, selection.since_ms)
            self._standing = selection
            self._tell(selection)
            self._note_missed({event.code for event in events} - selection.versions.keys())
            self._ledger.proved()
            again = selection.again
            self._again_at = boottime() + (self._source.again_seconds if again is None else again)
            if again != 0:
                return

    def _disprove(self, selection: Selection, since_ms: int) -> None:
        """The source has lost some of what it was asked for: what was written since it was seen there is not known."""
        known = self._standing
        if not known.versions:
            return  # another tracker had asked for it
        lost = {code for code in known.versions if selection.versions.get(code) != known.versions[code]}
        partly = {code: what for code, what in selection.refused.items() if what != known.refused.get(code)}
        log.warning(
            "the source has lost what it was asked for",
            extra={"source": self._source.name, "events": sorted({*lost, *partly}), "seen_ms": since_ms},
        )
        self._ledger.disprove(lost, partly | dict.fromkeys(lost, (HAD_LOST_IT,)), since_ms)
        for code in (*lost, *partly):
            self._since.pop(code, None)
        self._lost = dict.fromkeys(lost, since_ms) | self._lost

    def _note_missed(self, lacking: Collection[str]) -> None:
        """Of what was lost all but this is asked for again, or is not wanted any more."""
        now = now_ms()
        for code in self._lost.keys() - lacking:
            self._missed.setdefault(code, []).append((self._lost.pop(code), now))

    def _refused(self, wanted: dict[str, int], broken: Broken) -> None:
        """These could not be asked for: not before so long, or until an edit mends it."""
        why = str(broken)
        if self._put_off is None or self._put_off.why != why:
            log.warning("the source takes no changes", extra={"source": self._source.name, "why": why})
        seconds = max(1.0, self._backoff.after(broken.trouble, retry_after=broken.retry_after))
        self._put_off = _PutOff(wanted, why, boottime() + seconds, broken.trouble is not Trouble.RATE)
        self._not_taken(self.versions(), why)

    async def _wait(self, off: _PutOff) -> None:
        """Return when the events may be asked for again, or none is wanted any more."""
        while (wanted := self.versions()) and (left := off.until - boottime()) > 0:
            if wanted != off.wanted and off.by_edit:
                return
            self._not_taken(wanted, off.why)
            await self.unedited(wanted, left)

    def _not_taken(self, wanted: dict[str, int], why: str) -> None:
        """An edit that the source does not take is not in force: the ledger must not count it as heard."""
        standing = self._standing
        late = [code for code, version in wanted.items() if standing.versions.get(code) != version]
        said = f"what was changed last is not asked for yet: {why}"
        refused = standing.refused | {code: (*standing.refused.get(code, ()), said) for code in late}
        self._tell(Selection(standing.versions, refused))

    def _tell(self, selection: Selection) -> None:
        """Write down what the source is asked for from now on."""
        self.told, now, known = selection, now_ms(), self._since
        asked = dict.fromkeys(selection.refused) | selection.versions
        self._since = {
            code: known[code] if code in known and known[code][0] == version else (version, now)
            for code, version in asked.items()
        }
        self._ledger.selected(selection)


def _are_alike(some: Selection, others: Selection) -> bool:
    return (some.versions, some.refused) == (others.versions, others.refused)
