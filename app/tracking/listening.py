"""Listens to one source while this tracker has the lease: connects, takes, watches, and tries again.

What ends a connection is always a `Broken`; how long to wait then is the back-off's business. Whatever happens, the
ledger has it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

from app.domain.backoff import Backoff, Trouble
from app.domain.coverage import IDLE, Interval
from app.domain.events import Event
from app.domain.spans import Span
from app.domain.watchdog import State, Watchdog, words
from app.metrics import CONNECTIONS
from app.sources.source import Broken, Fact, Opened, Resume, Source
from app.tracking.budget import Budget
from app.tracking.clock import boottime
from app.tracking.filling import Filler
from app.tracking.lease import Lease
from app.tracking.ledger import Ledger, now_ms
from app.tracking.subscribing import LOOK_SECONDS, Subscription
from app.tracking.taking import Taker

log = logging.getLogger(__name__)

STOPPED = "its tracker has stopped, or lost the lease"
_TICK_SECONDS = 1.0
_SAY_SECONDS = 10.0
_BUDGET_SECONDS = 60.0
_LAST_SECONDS = 0.25  # that a connection is read after it is left: it was heard until then


class Listener:
    """One source, for one tenure of the lease."""

    def __init__(
        self,
        source: Source,
        taker: Taker,
        ledger: Ledger,
        budget: Budget,
        wanted: Callable[[], Sequence[Event]],
        lease: Lease,
        filler: Filler | None = None,
    ) -> None:
        self._source = source
        self._taker = taker
        self._ledger = ledger
        self._budget = budget
        self._wanted = wanted
        self._lease = lease
        self._generation = lease.generation
        self._tenure = lease.tenure
        self._filler = filler
        self._filling: set[asyncio.Task[None]] = set()
        self._backoff = Backoff()
        self._watchdog = self._followed()
        self._subscription = Subscription(source, taker, ledger, wanted, self._sure)
        self._connected: float | None = None  # by `boottime`
        self._warned = ""
        self._crowded = False  # the connection is not read, as nothing more can be taken
        self._left_open = True  # a connection of another tracker may be open still, or a dead one of ours

    async def run(self, last: Interval | None) -> None:
        """Listen for ever; cancel it to end. `last` is the interval before, whoever had it."""
        resume = Resume(last.cursor, last.until, last.server) if last is not None else Resume()
        self._subscription.take_over(last)
        telling = asyncio.create_task(self._tell_outages())
        try:
            while True:
                if not self._wanted():
                    self._fill(resume, now_ms(), self._subscription.missed())
                    await self._idle()
                    resume = Resume()  # what came meanwhile nobody has asked for
                    continue
                if (over := self._budget.exceeded()) is not None:
                    await self._pause("over budget", over, _BUDGET_SECONDS)
                    resume = Resume()  # nor is it paid for later
                    continue
                try:
                    await self._listen(resume)
                except Broken as broken:
                    resume = await self._ended(str(broken), resume)
                    await self._wait(broken)
                except Exception as error:
                    # Of this source alone: the others go on, and so does this one.
                    log.exception("a source failed", extra={"source": self._source.name})
                    why = f"{self._source.name} failed ({type(error).__name__})"
                    resume = await self._ended(why, resume)
                    await self._wait(Broken(Trouble.HTTP, why))
                else:
                    resume = await self._ended(IDLE, resume)
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

    async def _ended(self, why: str, before: Resume) -> Resume:
        """Write down the end of a connection, once all that came by it is kept; returns where to go on."""
        interval = self._ledger.interval
        if interval is None:
            return before
        await self._taker.settle()
        self._close(why)
        cursor = self._taker.cursor
        if cursor is None:
            return Resume(before.cursor, interval.until, before.server)
        return Resume(cursor, interval.until, interval.server)

    def _close(self, why: str) -> None:
        log.info("connection ended", extra={"source": self._source.name, "why": why})
        self._ledger.close(why, self._taker.oldest_ms)

    async def _idle(self) -> None:
        self._ledger.no_outage(IDLE)
        self._ledger.say("idle", IDLE)
        self._ledger.tell_status()
        said = boottime()
        while not self._wanted():
            await self._subscription.take_back()
            await asyncio.sleep(LOOK_SECONDS)
            if boottime() - said > _SAY_SECONDS:
                said = boottime()
                self._ledger.beat(self._taker.oldest_ms)
                self._budget.watch()
                self._ledger.tell_status()

    async def _wait(self, broken: Broken) -> None:
        """Wait before the next try."""
        heard = boottime() - self._connected if self._connected is not None else 0.0
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
        until = boottime() + seconds
        asked = self._subscription.versions()
        while (left := until - boottime()) > 0 and (now := self._subscription.versions()):
            if by_edit and now != asked:
                return
            self._ledger.beat(self._taker.oldest_ms)
            self._ledger.no_connection(why, self._generation)
            self._budget.watch()
            again = f"; tries again in {words(left)}" if left >= 1 else ""
            self._ledger.say(state, why + again)
            self._ledger.tell_status()
            await self._subscription.unedited(now, min(left, _SAY_SECONDS))

    def _sure(self) -> bool:
        return self._lease.sure

    async def _listen(self, resume: Resume) -> None:
        """One connection; returns when no event needs it any more. Raises Broken."""
        if not self._lease.held:  # it was frozen: another may listen, and this one is about to be told
            await asyncio.sleep(LOOK_SECONDS)
            return
        if self._ledger.status.state not in ("waiting", "refused"):  # since when it waits is what people look for
            self._ledger.say("connecting", "connecting")
            self._ledger.tell_status()
        await self._taker.room()  # what cannot be kept is not to be asked, and paid, for
        await self._subscription.renew()
        if self._left_open and self._sure():
            await self._release()
        if not self._lease.held:
            return
        following = self._subscription.follow(lambda: self._watchdog.selected(boottime()))
        tasks = [asyncio.create_task(work) for work in (self._read(resume), following, self._watch())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            try:
                if not any(task.done() and task.exception() for task in tasks):
                    await self._leave(tasks[0])
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _leave(self, reading: asyncio.Task[None]) -> None:
        """Take what has come until now by a connection that shall be closed.

        One that is not read, or that another tracker may have ended since, was heard up to its last sign of life.
        """
        if self._ledger.interval is None:
            return
        lost = self._lease.tenure != self._tenure or not self._lease.held
        alive = not (lost or self._crowded)
        self._ledger.leave(alive=alive)
        if alive:
            await asyncio.wait([reading], timeout=_LAST_SECONDS)

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
                    if self._ledger.interval is not None:  # that was read to its end
                        self._ledger.leave(alive=got.gapless)
                        self._taker.flush()
                        self._close("the source was asked anew")
                    interval = self._opened(got, resume)
                    self._fill(resume, interval.since, self._missed_in(interval))
                elif isinstance(got, Fact):
                    self._took(self._taker.passed(got))
                else:
                    self._took(self._taker.take(got) if got else self._taker.sign())
                    self._taker.check_end()
                    await self._room()
        raise Broken(Trouble.ENDED, f"{self._source.name} has ended the connection")

    async def _room(self) -> None:
        """Return when more can be taken. Raises Broken."""
        began, self._crowded = boottime(), True
        await self._taker.room()
        self._crowded = False
        if boottime() - began >= LOOK_SECONDS:
            self._ledger.held_up()

    def _opened(self, opened: Opened, resume: Resume) -> Interval:
        asked = self._subscription
        interval = self._ledger.open(opened, asked.told, self._generation, resume, asked.asked_since)
        self._taker.connected(interval.connection, self._generation)
        self._crowded = False
        self._watchdog = self._followed()
        self._connected = boottime()
        CONNECTIONS.labels(self._source.name).inc()
        self._warned = ""
        log.info("connected", extra={"source": self._source.name, "note": opened.note or None})
        return interval

    def _followed(self) -> Watchdog:
        return Watchdog(self._ledger.status.volumes, boottime(), _hour(), self._source.silent_seconds)

    def _fill(self, resume: Resume, until_ms: int, lost: dict[str, list[Span]]) -> None:
        """Search for what came since it was last heard, and was not found before, beside everything else."""
        if self._filler is None:
            return
        missed = [(resume.heard_ms, until_ms)] if resume.heard_ms is not None else []
        task = asyncio.create_task(self._filler.fill(missed, lost))
        self._filling.add(task)
        task.add_done_callback(self._filling.discard)

    def _missed_in(self, interval: Interval) -> dict[str, list[Span]]:
        """What was missed of some events, also in the past that a new connection delivers."""
        missed = self._subscription.missed()
        for one in interval.events:
            if interval.since < one.since:
                missed.setdefault(one.code, []).append((interval.since, one.since))
        return missed

    def _took(self, posts: int) -> None:
        now = boottime()
        if posts:
            self._watchdog.posts(posts, now)
            self._budget.read(posts)
        else:
            self._watchdog.sign(now)

    async def _watch(self) -> None:
        """Write down how it goes; give up a dead socket. Raises Broken."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = boottime()
            self._watchdog.tick(now, _hour())
            self._taker.lately.tick(now)
            if self._ledger.interval is None:
                continue  # the source has time-outs of its own for the way there
            if self._watchdog.is_dead(now):
                self._left_open = True
                raise Broken(Trouble.ENDED, f"dead socket: no sign of life for {self._source.silent_seconds:.0f} s")
            self._ledger.beat(self._taker.oldest_ms)
            if missed := self._subscription.missed():
                self._fill(Resume(), now_ms(), missed)
            self._budget.watch()
            state, said = self._watchdog.state(now)
            self._ledger.say(state, "; ".join(one for one in (said, self._budget.words(), self._taker.unread) if one))
            self._ledger.tell_status()
            if (over := self._budget.exceeded()) is not None:
                raise Broken(Trouble.ENDED, over)


def _hour() -> int:
    return datetime.now(UTC).hour
