"""The tracker: of all processes that have this role, the one with the lease listens to every source that is set."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka.errors import KafkaError
from mode import Service

from app.clients.view import View
from app.domain.coverage import Entry, Interval, SourceStatus, intervals_of, statuses_of
from app.domain.events import Event
from app.domain.heard import last_heard, lost, unheard, unwanted
from app.domain.rematch import PAST_SOURCES
from app.domain.spans import Span, union
from app.domain.watchdog import Volumes
from app.errors import Unavailable
from app.settings import Settings
from app.sources.source import Searchable, Source
from app.topics import COVERAGE
from app.tracking.budget import PAID, Budget
from app.tracking.filling import Filler
from app.tracking.history import History
from app.tracking.lease import Lease
from app.tracking.leaving import changes
from app.tracking.ledger import Ledger, now_ms
from app.tracking.listening import STOPPED, Listener
from app.tracking.outbox import Outbox
from app.tracking.parcel import Parcel
from app.tracking.recent import Recent
from app.tracking.taking import Taker
from app.tracking.wishing import Wisher

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2
_RETRY_SECONDS = 2.0
# A holder whom every source has refused for so long offers the lease: another may have a better token.
_REFUSED_MS = 30_000


class Tracker(Service):
    """Listens while it has the lease. Start it after the lease, the outbox and the views that it is given."""

    abstract = False
    logger = logging.getLogger("mode.tracker")

    def __init__(
        self,
        settings: Settings,
        sources: Mapping[str, Source],
        lease: Lease,
        outbox: Outbox,
        history: History,
        events: View[Event],
        coverage: View[Entry],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._sources = sources
        self._lease = lease
        self._outbox = outbox
        self._history = history
        self._events = events
        self._coverage = coverage
        self._ledgers: dict[str, Ledger] = {}
        self._fillers: dict[str, Filler] = {}
        self._budgets: dict[str, Budget] = {}
        self._listening: asyncio.Task[None] | None = None
        outbox.on_kept = self._kept

    def statuses(self) -> list[SourceStatus]:
        """How the sources are, by the tracker that has the lease."""
        return sorted(statuses_of(self._coverage.items.values()), key=lambda status: status.source)

    def wanted(self) -> Sequence[Event]:
        """The events that collect now."""
        return [event for event in self._events.items.values() if event.collecting]

    async def on_stop(self) -> None:
        """Close the connections, and write down that they were closed."""
        await self._stop_listening()
        if self._lease.held:
            for ledger in self._ledgers.values():
                ledger.say("idle", "its tracker has stopped")
                ledger.tell_status()
        for source in self._sources.values():
            await source.close()

    @Service.task
    async def _run(self) -> None:
        """Listen for as long as the lease is held; again when it comes back."""
        await self._events.wait_complete()
        while not self.should_stop:
            if not self._lease.sure:
                await self._lease.wait(_LOOK_SECONDS)
                continue
            tenure = self._lease.tenure
            task = self._listening = asyncio.create_task(self._listen())
            while self._lease.held and self._lease.tenure == tenure and not task.done() and not self.should_stop:
                self._judge()
                await self._lease.wait(_LOOK_SECONDS)
            await self._stop_listening()
            for ledger in self._ledgers.values():
                ledger.say("standing by", "another tracker has the lease")

    def _judge(self) -> None:
        """Whether the lease is of use here."""
        ledgers = self._ledgers.values()
        if any(ledger.interval is not None for ledger in ledgers):
            self._lease.keep()
        elif ledgers and all(ledger.refused_ms >= _REFUSED_MS for ledger in ledgers):
            self._lease.offer()

    async def _stop_listening(self) -> None:
        task, self._listening = self._listening, None
        if task is None:
            return
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        except (KafkaError, Unavailable, TimeoutError) as error:
            log.warning("Kafka is away; the tracker waits", extra={"why": type(error).__name__})
            await self.sleep(_RETRY_SECONDS)

    async def _listen(self) -> None:
        """Take over every source. Raises KafkaError, TimeoutError where Kafka is away before it has begun."""
        await self._coverage.catch_up()
        for key, one in changes(self._coverage.items.values(), self._sources, now_ms()):
            self._put(Parcel(COVERAGE.name, msgspec.json.encode(one), [], key.encode()))
        listeners = [self._listener(source) for source in self._sources.values()]
        async with asyncio.TaskGroup() as group:
            for source, listener, recent in listeners:
                group.create_task(self._hear(source, listener, recent))
            counted = group.create_task(self._count_spooled())
            for name in PAST_SOURCES:
                group.create_task(self._wish(name, counted))

    def _listener(self, source: Source) -> tuple[Source, Listener, Recent]:
        entries = self._coverage.items.values()
        intervals = [one for one in intervals_of(entries) if one.source == source.name]
        status = next((one for one in statuses_of(entries) if one.source == source.name), None)
        ledger = Ledger(source.name, self._put, status.volumes if status else Volumes(), source.silent_seconds)
        self._ledgers[source.name] = ledger
        recent = Recent()
        taker = Taker(self._settings, source, ledger, self._outbox, recent)
        budget = self._budgets[source.name] = Budget(self._settings, source.name, intervals)
        self._fillers.pop(source.name, None)
        if isinstance(source, Searchable) and (self._settings.x_search or source.name not in PAID):
            away = unwanted(entries, source.name, now_ms())
            left, events = unheard(intervals), self._events.items.values
            self._fillers[source.name] = Filler(
                source, budget, self._outbox, events, left, away, lambda: self._heard(source.name), lost(intervals)
            )
        # A source that goes on by a cursor has no gap that a search could fill.
        fills = self._fillers.get(source.name) if source.selective else None
        return source, Listener(source, taker, ledger, budget, self.wanted, self._lease, fills), recent

    async def _hear(self, source: Source, listener: Listener, recent: Recent) -> None:
        """Find out where to go on, and listen."""
        while True:
            try:
                last = await self._last(source, recent)
                break
            except (KafkaError, Unavailable, TimeoutError) as error:
                # Of this source alone: the others go on.
                log.warning("where to go on is not known yet", extra={"source": source.name, "why": str(error)})
                await asyncio.sleep(_RETRY_SECONDS)
        await listener.run(last)

    async def _last(self, source: Source, recent: Recent) -> Interval | None:
        """Up to where it was heard; posts that came since are to be dropped when they come again.

        Raises KafkaError, TimeoutError, Unavailable.
        """
        if not source.selective:
            await self._spooled_sent(self._ledgers[source.name])
        last = last_heard([one for one in intervals_of(self._coverage.items.values()) if one.source == source.name])
        if last is not None:
            recent.add(await self._history.marks(source.name, last.until))
        return last

    async def _spooled_sent(self, ledger: Ledger) -> None:
        """Return when what is on disk now is in Kafka: perhaps the newest cursor, and posts that it would bring again.

        Who goes on by a cursor loses nothing by that.
        """

        def wait() -> None:
            why = self._outbox.unread or "what was kept on disk goes to Kafka first"
            ledger.no_connection(why, self._lease.generation)
            ledger.say("waiting", why)
            ledger.tell_status()

        try:
            if await self._sent(wait):
                ledger.say("connecting", "connecting")
        except asyncio.CancelledError:
            ledger.no_outage(STOPPED)
            raise

    async def _heard(self, source: str) -> list[Span]:
        """When a source was heard as far as only the disk knew: nobody is to search, and pay, for that once more."""
        if not await self._sent():
            return []
        found = [one for one in intervals_of(self._coverage.items.values()) if one.source == source]
        return union((one.since, one.until) for one in found if one.origin == "live")

    async def _count_spooled(self) -> None:
        """Count what was paid for and only the disk knew."""
        if await self._sent():
            intervals = intervals_of(self._coverage.items.values())
            for budget in self._budgets.values():
                budget.learn(intervals)

    async def _wish(self, source: str, counted: asyncio.Task[None]) -> None:
        """Carry out wishes, once what is on disk is counted; how far one is may be there, too."""
        wisher = self._wisher(source)
        await counted
        await wisher.run()

    async def _sent(self, wait: Callable[[], None] = lambda: None) -> bool:
        """Return when what is on disk now is in Kafka, and what it says of the ledger is known; whether there was any.

        `wait` is called while it is not.
        """
        end = self._outbox.end
        if self._outbox.is_past(end):
            return False
        while not self._outbox.is_past(end):
            wait()
            await asyncio.sleep(_RETRY_SECONDS)
        while True:
            try:
                await self._coverage.catch_up()
            except (KafkaError, Unavailable, TimeoutError) as error:
                log.warning("the ledger is not known yet", extra={"why": str(error)})
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return True

    def _wisher(self, source: str) -> Wisher:
        why_not = f"the tracker does not listen to {source} (STARLING_SOURCES)"
        if source in self._sources:
            why_not = f"{source} charges for posts of the past, and STARLING_X_SEARCH is off"
        filler = self._fillers.get(source)
        return Wisher(source, filler, why_not, self.wanted, self._coverage.items.values, self._put)

    def _put(self, parcel: Parcel) -> None:
        self._outbox.put(parcel)

    def _kept(self, parcel: Parcel) -> None:
        ledger = self._ledgers.get(parcel.source)
        if ledger is not None:
            ledger.kept(parcel)
