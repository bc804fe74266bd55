"""The tracker: of all processes that have this role, the one with the lease listens to every source that is set."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiokafka.errors import KafkaError
from mode import Service

from app.clients.view import View
from app.domain.coverage import Entry, Interval, Left, SourceStatus, intervals_of, of_kind, statuses_of
from app.domain.events import Event
from app.domain.heard import last_heard, unheard
from app.domain.watchdog import Volumes
from app.errors import Unavailable
from app.settings import Settings
from app.sources.source import Searchable, Source
from app.topics import COVERAGE
from app.tracking.budget import Budget
from app.tracking.filling import Filler
from app.tracking.history import History
from app.tracking.lease import Lease
from app.tracking.leaving import changes
from app.tracking.ledger import Ledger, now_ms
from app.tracking.listening import Listener
from app.tracking.outbox import Outbox
from app.tracking.parcel import Parcel
from app.tracking.recent import Recent
from app.tracking.taking import Taker

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
        listeners = [await self._listener(source) for source in self._sources.values()]
        async with asyncio.TaskGroup() as group:
            for listener, last in listeners:
                group.create_task(listener.run(last))

    async def _listener(self, source: Source) -> tuple[Listener, Interval | None]:
        entries = self._coverage.items.values()
        intervals = [one for one in intervals_of(entries) if one.source == source.name]
        last = last_heard(intervals)
        status = next((one for one in statuses_of(entries) if one.source == source.name), None)
        ledger = Ledger(source.name, self._put, status.volumes if status else Volumes(), source.silent_seconds)
        self._ledgers[source.name] = ledger
        recent = Recent()
        if last is not None:
            recent.add(await self._history.marks(source.name, last.until))
        taker = Taker(self._settings, source, ledger, self._outbox, recent)
        budget = Budget(self._settings, source.name, intervals)
        filler = None
        if self._settings.x_search and isinstance(source, Searchable):
            away = [
                (one.since, now_ms() if one.until is None else one.until)
                for one in of_kind(Left, entries)
                if one.source == source.name
            ]
            filler = Filler(source, budget, self._outbox, unheard(intervals), away)
        return Listener(source, taker, ledger, budget, self.wanted, self._lease.generation, self._sure, filler), last

    def _sure(self) -> bool:
        return self._lease.sure

    def _put(self, parcel: Parcel) -> None:
        self._outbox.put(parcel)

    def _kept(self, parcel: Parcel) -> None:
        ledger = self._ledgers.get(parcel.source)
        if ledger is not None:
            ledger.kept(parcel)
