"""Listens to one source while this tracker has the lease: connects, takes, watches, and tries again.

What ends a connection is always a `Broken`; how long to wait then is the back-off's business. Whatever happens, the
ledger has it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from time import monotonic

from app.domain.backoff import Backoff, Trouble
from app.domain.coverage import IDLE, Interval
from app.domain.events import Event
from app.domain.watchdog import State, Watchdog, words
from app.metrics import CONNECTIONS
from app.sources.source import Broken, Fact, Opened, Resume, Selection, Source
from app.tracking.budget import Budget
from app.tracking.filling import Filler
from app.tracking.ledger import Ledger
from app.tracking.taking import Taker

log = logging.getLogger(__name__)

STOPPED = "its tracker has stopped, or lost the lease"
_LOOK_SECONDS = 0.1
_TICK_SECONDS = 1.0
_SAY_SECONDS = 10.0
# What a source has refused for want of room it may take later, when others have made room.
_AGAIN_SECONDS = 900.0
_TAKE_BACK_TRIES = 8  # that is about ten minutes, as X counts its back-off


class Listener:
    """One source, for one tenure of the lease."""

    def __init__(
        self,
        source: Source,
        taker: Taker,
        ledger: Ledger,
        budget: Budget,
        wanted: Callable[[], Sequence[Event]],
        generation: int,
        sure: Callable[[], bool],
        filler: Filler | None = None,
    ) -> None:
        self._source = source
        self._taker = taker
        self._ledger = ledger
        self._budget = budget
        self._wanted = wanted
        self._generation = generation
        self._sure = sure  # whether this tracker has the lease for sure: only then others' connections are ended
        self._filler = filler
        self._filling: set[asyncio.Task[None]] = set()
        self._backoff = Backoff()
        self._watchdog = self._followed()
        self._asked: dict[str, int] = {}
        self._selection = Selection()
        self._connected: float | None = None  # monotonic
        self._warned = ""
        self._left_open = True  # a connection of another tracker may be open still, or a dead one of ours

    async def run(self, last: Interval | None) -> None:
        """Listen for ever; cancel it to end. `last` is the interval before, whoever had it."""
        resume = Resume(last.cursor, last.until) if last is not None else Resume()
        telling = asyncio.create_task(self._tell_outages())
        try:
            while True:
                if not self._wanted():
                    await self._idle()
                    resume = Resume()  # what came meanwhile nobody has asked for
                    continue
                if (over := self._budget.exceeded()) is not None:
                    await self._pause("over budget", over, 60)
                    continue
                try:
                    await self._listen(resume)
                except Broken as broken:
                    resume = await self._ended(str(broken), resume, broken=True)
                    await self._wait(broken)
                except Exception as error:
                    # Of this source alone: the others go on, and so does this one.
                    log.exception("a source failed", extra={"source": self._source.name})
                    why = f"{self._source.name} failed ({type(error).__name__})"
                    resume = await self._ended(why, resume, broken=True)
                    await self._wait(Broken(Trouble.HTTP, why))
                else:
                    await self._ended(IDLE, resume)
        finally:
            for task in (telling, *self._filling):
                task.cancel()
            self._budget.stop()
            self._ledger.no_outage(STOPPED)
            await self._ended(STOPPED, resume)

    async def _tell_outages(self) -> None:
        """Beside the tries: one may take longer than a reader of the ledger would wait."""
        while True:
            await asyncio.sleep(_SAY_SECONDS)
            self._ledger.still()

    async def _ended(self, why: str, before: Resume, *, broken: bool = False) -> Resume:
        """Write down the end of a connection, once all that came by it is kept; returns where to go on."""
        interval = self._ledger.interval
        if interval is None:
            return before
        log.info("connection ended", extra={"source": self._source.name, "why": why})
        await self._taker.settle()
        self._ledger.close(why, self._taker.oldest_ms, broken=broken)
        cursor = self._taker.cursor
        return Resume(before.cursor if cursor is None else cursor, interval.until)

    async def _idle(self) -> None:
        self._ledger.no_outage(IDLE)
        self._ledger.say("idle", IDLE)
        self._ledger.tell_status()
        said, backoff, tries, again = monotonic(), Backoff(), 0, 0.0
        while not self._wanted():
            if tries < _TAKE_BACK_TRIES and monotonic() >= again:
                tries, again = await self._take_back(backoff, tries)
            await asyncio.sleep(_LOOK_SECONDS)
            if monotonic() - said > _SAY_SECONDS:
                said = monotonic()
                self._ledger.beat(self._taker.oldest_ms)
                self._budget.watch()
                self._ledger.tell_status()

    async def _take_back(self, backoff: Backoff, tries: int) -> tuple[int, float]:
        """Ask the source for nothing any more; how often that was tried, and when to try it again.

        What it is asked for without a connection costs nothing: after some tries it is left to the next connection.
        """
        try:
            self._selection = await self._source.select([])
        except Broken as broken:
            words = f"{IDLE}; {self._source.name} does not take back what it was asked for: {broken}"
            self._ledger.say("idle", words)
            self._ledger.tell_status()
            return tries + 1, monotonic() + max(1.0, backoff.after(broken.trouble, retry_after=broken.retry_after))
        self._asked = {}
        if tries:
            self._ledger.say("idle", IDLE)
            self._ledger.tell_status()
        return _TAKE_BACK_TRIES, 0.0

    async def _wait(self, broken: Broken) -> None:
        """Wait before the next try."""
        heard = monotonic() - self._connected if self._connected is not None else 0.0
        self._connected = None
        seconds = self._backoff.after(broken.trouble, heard=heard, retry_after=broken.retry_after)
        if broken.trouble is Trouble.CONNECTIONS:
            self._left_open = True
        if str(broken) != self._warned:
            self._warned = str(broken)
            log.warning("no connection", extra={"source": self._source.name, "why": self._warned})
        state: State = "refused" if broken.trouble is Trouble.DENIED else "waiting"
        await self._pause(state, str(broken), seconds, by_edit=broken.trouble is not Trouble.RATE)

    async def _pause(self, state: State, why: str, seconds: float, *, by_edit: bool = False) -> None:
        """Wait, and say so meanwhile; an edit may have mended what was wrong."""
        until = monotonic() + seconds
        asked = self._versions()
        while (left := until - monotonic()) > 0 and (now := self._versions()):
            if by_edit and now != asked:
                return
            self._ledger.beat(self._taker.oldest_ms)
            self._ledger.no_connection(why, self._generation)
            self._budget.watch()
            again = f"; tries again in {words(left)}" if left >= 1 else ""
            self._ledger.say(state, why + again)
            self._ledger.tell_status()
            said = monotonic() + min(left, _SAY_SECONDS)
            while monotonic() < said and self._versions() == now:  # noqa: ASYNC110 -- a view tells nobody
                await asyncio.sleep(min(_LOOK_SECONDS, max(0.0, said - monotonic())))

    def _versions(self) -> dict[str, int]:
        return _versions_of(self._wanted())

    async def _listen(self, resume: Resume) -> None:
        """One connection; returns when no event needs it any more. Raises Broken."""
        if self._ledger.status.state not in ("waiting", "refused"):  # since when it waits is what people look for
            self._ledger.say("connecting", "connecting")
            self._ledger.tell_status()
        await self._select()
        if self._left_open and self._sure():
            await self._release()
        tasks = [asyncio.create_task(work) for work in (self._read(resume), self._follow_events(), self._watch())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _release(self) -> None:
        """End what was left open. Where that is refused, it ends by itself, or is in the way later."""
        self._left_open = False
        try:
            await self._source.release()
        except Broken as broken:
            log.warning("old connections are not ended", extra={"source": self._source.name, "why": str(broken)})

    async def _read(self, resume: Resume) -> None:
        async with aclosing(self._source.listen(resume)) as stream:
            async for got in stream:
                if isinstance(got, Opened):
                    await self._ended("the source was asked anew", resume)
                    self._opened(got)
                    self._fill(resume)
                elif isinstance(got, Fact):
                    self._took(self._taker.passed(got))
                else:
                    self._took(self._taker.take(got) if got else self._taker.sign())
                    await self._taker.room()
        raise Broken(Trouble.ENDED, f"{self._source.name} has ended the connection")

    def _opened(self, opened: Opened) -> None:
        interval = self._ledger.open(opened, self._selection, self._generation)
        self._taker.connected(interval.connection, self._generation)
        self._watchdog = self._followed()
        self._connected = monotonic()
        CONNECTIONS.labels(self._source.name).inc()
        self._warned = ""
        log.info("connected", extra={"source": self._source.name, "note": opened.note or None})

    def _followed(self) -> Watchdog:
        return Watchdog(self._ledger.status.volumes, monotonic(), _hour(), self._source.silent_seconds)

    def _fill(self, resume: Resume) -> None:
        """Search for what came since it was last heard, and was not found before, beside the listening."""
        interval = self._ledger.interval
        if self._filler is None or interval is None:
            return
        missed = [(resume.heard_ms, interval.since)] if resume.heard_ms is not None else []
        task = asyncio.create_task(self._filler.fill(self._wanted(), missed))
        self._filling.add(task)
        task.add_done_callback(self._filling.discard)

    def _took(self, posts: int) -> None:
        now = monotonic()
        if posts:
            self._watchdog.posts(posts, now)
            self._budget.read(posts)
        else:
            self._watchdog.sign(now)

    async def _select(self) -> None:
        """Ask the source for the events as they are now."""
        events = self._wanted()
        asked = _versions_of(events)
        lately = self._taker.lately
        if self._source.selective:
            self._taker.flush()
            lately.begin(self._asked, asked)
        try:
            self._selection = await self._source.select(events)
        finally:
            lately.end(monotonic())
        self._asked = asked
        self._ledger.selected(self._selection)

    async def _follow_events(self) -> None:
        """Bring each change of an event to the source, and again what it refused; returns when none is active."""
        backoff = Backoff()
        asked = monotonic()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            wanted = self._versions()
            if not wanted:
                return
            again = bool(self._selection.refused) and monotonic() - asked >= _AGAIN_SECONDS
            if wanted == self._asked and not again:
                continue
            asked, before = monotonic(), self._selection
            try:
                await self._select()
                if self._source.selective and self._selection != before:
                    self._watchdog.selected(monotonic())
                backoff = Backoff()
            except Broken as broken:
                seconds = backoff.after(broken.trouble, retry_after=broken.retry_after)
                log.warning("the source takes no changes", extra={"source": self._source.name, "why": str(broken)})
                self._not_taken(wanted, str(broken))
                await asyncio.sleep(max(seconds, 1.0))

    def _not_taken(self, wanted: dict[str, int], why: str) -> None:
        """An edit that the source does not take is not in force: the ledger must not count it as heard."""
        standing = self._selection
        late = [code for code, version in wanted.items() if standing.versions.get(code) != version]
        said = f"what was changed last is not asked for yet: {why}"
        refused = standing.refused | {code: (*standing.refused.get(code, ()), said) for code in late}
        self._ledger.selected(Selection(standing.versions, refused))

    async def _watch(self) -> None:
        """Write down how it goes; give up a dead socket. Raises Broken."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = monotonic()
            self._watchdog.tick(now, _hour())
            self._taker.lately.tick(now)
            if self._ledger.interval is None:
                continue  # the source has time-outs of its own for the way there
            if self._watchdog.is_dead(now):
                self._left_open = True
                raise Broken(Trouble.ENDED, f"dead socket: no sign of life for {self._source.silent_seconds:.0f} s")
            self._ledger.beat(self._taker.oldest_ms)
            self._budget.watch()
            state, said = self._watchdog.state(now)
            spent = self._budget.words()
            self._ledger.say(state, f"{said}; {spent}" if spent else said)
            self._ledger.tell_status()
            if (over := self._budget.exceeded()) is not None:
                raise Broken(Trouble.ENDED, over)


def _versions_of(events: Iterable[Event]) -> dict[str, int]:
    return {event.code: event.version for event in events}


def _hour() -> int:
    return datetime.now(UTC).hour
