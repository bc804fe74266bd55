"""Exports: what is asked for in the topic `exports` is carried out by the manager that owns the event.

Each job is a process of its own, of which the manager tells how far it is. What it has written so far is in the store:
whoever owns the event next goes on there, if it shares the store, else begins anew.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import monotonic

import msgspec
from aiokafka.errors import KafkaError
from msgspec.structs import replace

from agents.sending import Outgoing, send_all
from agents.tenure import Lost, Tenure
from app.clients.exports import Entry, key_of
from app.clients.view import View
from app.domain import coverage
from app.domain.events import Event
from app.domain.exports import Asked, Export, Progress, exports_of, file_name, progress_key
from app.exporting.job import Job
from app.exporting.manifest import File, about
from app.exporting.process import Child, Done, Far, Order, Trouble, begin
from app.exporting.store import Store
from app.faustapp import App
from app.metrics import EXPORTS
from app.settings import Settings
from app.topics import EVENT_COMMANDS, full_name
from app.topics import EXPORTS as TOPIC
from tables.event_ledger import EventLedger
from tables.known_activity import KnownActivity
from tables.known_events import KnownEvents

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
TELL_SECONDS = 1.0
TIDY_SECONDS = 10.0
KAFKA_SECONDS = 10.0
AGAIN_SECONDS = (2.0, 30.0)  # the first pause while a server is away, and the longest
MOST_DEATHS = 3  # of its process, one after the other, before it is given up


class Unwanted(Exception):
    """Nobody wants the export any more, or its event is no more; the message says why."""


def add_exporting(
    app: App,
    settings: Settings,
    events: KnownEvents,
    ledger: EventLedger,
    exports: View[Entry],
    heard: View[coverage.Entry],
    activity: KnownActivity,
    store: Store,
) -> None:
    """Give the app its tasks."""
    jobs = _Jobs(app, settings, events, ledger, exports, heard, activity, store)

    @app.task
    async def exporting() -> None:
        """Carry out what is asked for."""
        await app.may_work.wait()
        await exports.wait_complete()
        await heard.wait_complete()
        await activity.view.wait_complete()
        try:
            while not app.should_stop:
                try:
                    await jobs.round()
                except (KafkaError, OSError, TimeoutError) as away:
                    log.warning("exports wait for Kafka", extra={"why": repr(away)})
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await jobs.stop()

    @app.task
    async def tidying() -> None:
        """Remove the files that nobody wants, each manager in its own store."""
        await exports.wait_complete()
        await events.view.wait_complete()
        while not app.should_stop:
            with suppress(KafkaError, OSError, TimeoutError):
                await jobs.tidy()
            await asyncio.sleep(TIDY_SECONDS)


class _Jobs:
    def __init__(
        self,
        app: App,
        settings: Settings,
        events: KnownEvents,
        ledger: EventLedger,
        exports: View[Entry],
        heard: View[coverage.Entry],
        activity: KnownActivity,
        store: Store,
    ) -> None:
        self._app = app
        self._settings = settings
        self._events = events
        self._ledger = ledger
        self._exports = exports
        self._heard = heard
        self._activity = activity
        self._store = store
        self._tenure = Tenure(app, settings)
        self._topic = full_name(TOPIC, settings)
        self._running: dict[str, asyncio.Task[None]] = {}

    async def round(self) -> None:
        """Begin what is due, as far as there is room, and forget what is long over. Raises KafkaError."""
        for name in [name for name, task in self._running.items() if task.done()]:
            del self._running[name]
        if self._app.rebalancing or not self._pending():
            return
        generation = self._tenure.generation
        async with asyncio.timeout(KAFKA_SECONDS):
            await self._exports.catch_up()
        for export in self._pending():
            asked, progress = export.asked, export.progress
            if export.forgotten(_now()):
                with suppress(Lost):
                    await self._forget(generation, asked)
            elif progress is not None and progress.over:
                continue
            elif len(self._running) < self._settings.export_jobs:
                job = _Job(self, asked, progress, generation)
                self._running[asked.id] = asyncio.create_task(job.run())

    def _pending(self) -> list[Export]:
        """What there is to do with events of this process, the oldest first."""
        owned, now = self._app.owned(full_name(EVENT_COMMANDS, self._settings)), _now()
        found = [
            one
            for one in exports_of(self._exports.items.values()).values()
            if one.asked.id not in self._running
            and self._ledger.partition_of(one.asked.code) in owned
            and (one.progress is None or not one.progress.over or one.forgotten(now))
        ]
        return sorted(found, key=lambda one: (one.asked.at, one.asked.id))

    async def stop(self) -> None:
        """End all jobs; who owns their events goes on with them."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def tidy(self) -> None:
        """Remove files that are no longer wanted. Raises KafkaError, OSError."""
        async with asyncio.timeout(KAFKA_SECONDS):
            await self._exports.catch_up()
            await self._events.view.catch_up()
        now, known = _now(), exports_of(self._exports.items.values())

        def wanted(name: str) -> bool:
            export = known.get(name)
            if export is None or self._events.purged(export.asked.code, export.asked.born):
                return False
            return export.state(now) in ("waiting", "running", "done")

        for gone in await asyncio.to_thread(self._store.tidy, wanted):
            log.info("export removed", extra={"id": gone})

    async def _forget(self, generation: int, asked: Asked) -> None:
        await self._tenure.confirm(generation)
        keys = (asked.id, progress_key(asked.id))
        await send_all(self._app, [Outgoing(self._topic, key.encode(), None) for key in keys])

    async def tell(self, generation: int, progress: Progress) -> None:
        """Raises Lost, KafkaError."""
        await self._tenure.confirm(generation)
        await send_all(self._app, [Outgoing(self._topic, key_of(progress), msgspec.json.encode(progress))])

    def sure(self, generation: int, asked: Asked) -> Event:
        """The event as it stands. Raises Unwanted, or Lost where it is another's by now."""
        if self._app.rebalancing or not self._tenure.stands(generation):
            raise Lost
        newest = self._exports.items.get(asked.id)
        if isinstance(newest, Asked) and newest.withdrawn is not None:
            raise Unwanted(f"withdrawn by {newest.withdrawn.who}")
        event = self._ledger.get(asked.code).event
        if event is None or event.status == "purging" or event.born != asked.born:
            raise Unwanted("the event was purged")
        return event

    async def order(self, event: Event, asked: Asked) -> Order:
        """What its process is to do."""
        begun = _now()
        heard, counted = list(self._heard.items.values()), self._activity.of(event)
        described = await asyncio.to_thread(about, event, heard, counted, asked.wish, begun)
        return Order(
            asked.id,
            Job(
                code=asked.code,
                born=asked.born,
                wish=asked.wish,
                name=file_name(asked),
                begun=begun,
                asked={"id": asked.id, "asked_by": asked.who, "asked_at": asked.at},
                about=described,
            ),
        )

    def found(self, asked: Asked) -> tuple[str, File | None]:
        """The store, and the file where it was written before a kill. Raises OSError."""
        return self._store.id, self._store.file(asked.id)

    @property
    def expires(self) -> datetime:
        """When what is done now is removed."""
        return _now() + timedelta(days=self._settings.export_days)


class _Job:
    """One export, from where it is to its end, as long as this process owns the event."""

    def __init__(self, jobs: _Jobs, asked: Asked, progress: Progress | None, generation: int) -> None:
        self._jobs = jobs
        self._asked = asked
        self._generation = generation
        self._progress = replace(
            progress or Progress(id=asked.id, code=asked.code, state="running", at=_now()), host=socket.gethostname()
        )
        self._told = 0.0
        self._deaths = 0

    async def run(self) -> None:
        """Never raises; what it could not end is due again."""
        try:
            await self._run()
        except Lost:
            return
        except (KafkaError, TimeoutError) as away:
            log.warning("an export waits for Kafka", extra={"id": self._asked.id, "why": repr(away)})
            await asyncio.sleep(AGAIN_SECONDS[0])
        except Exception as defect:
            # Of this export alone: the others go on, and it is not tried again for ever.
            log.exception("an export failed", extra={"id": self._asked.id})
            with suppress(Lost, KafkaError):
                await self._tell(state="failed", why=f"it failed ({type(defect).__name__}); the manager's log says why")

    async def _run(self) -> None:
        try:
            await self._carry_out()
        except Unwanted as why:
            await self._tell(state="cancelled", why=str(why))
        except TimeoutError:  # an OSError, but not of a file
            raise
        except OSError as error:
            await self._tell(state="failed", why=f"{error.filename or 'its directory'}: {error.strerror or error}")
        ended = self._progress
        EXPORTS.labels(self._asked.wish.format, ended.state).inc()
        log.info("export ended", extra={"id": ended.id, "state": ended.state, "rows": ended.rows, "why": ended.why})

    async def _carry_out(self) -> None:
        event = self._sure()
        store, file = await asyncio.to_thread(self._jobs.found, self._asked)
        if store != self._progress.store:  # what was told of another store is not here
            self._progress = replace(self._progress, store=store, buckets=0, rows=0, why="")
        order = await self._jobs.order(event, self._asked) if file is None else None
        pause = AGAIN_SECONDS[0]
        while file is None and self._progress.state == "running":
            assert order is not None  # noqa: S101 -- made where there is no file
            await self._tell()
            child = await begin(order)
            try:
                end = await self._follow(child)
            finally:
                await child.end()
            if isinstance(end, Done):
                file = end.file
            elif end.kind == "refused" or self._deaths > MOST_DEATHS:
                await self._tell(state="failed", why=end.why)
            else:
                await self._wait(end.why, pause)
                pause = min(pause * 2, AGAIN_SECONDS[1])
        if file is not None:
            await self._tell(
                state="done",
                why="",
                rows=file.rows,
                bytes=file.bytes,
                file=file.name,
                sha256=file.sha256,
                expires=self._jobs.expires,
            )

    async def _follow(self, child: Child) -> Done | Trouble:
        """Tell what the process tells, until it has ended. Raises Unwanted, Lost, KafkaError."""
        line = asyncio.ensure_future(child.line())
        try:
            while True:
                await asyncio.wait([line], timeout=LOOK_SECONDS)
                self._sure()
                if not line.done():
                    continue
                said = line.result()
                if not isinstance(said, Far):
                    self._deaths += isinstance(said, Trouble) and said.kind == "died"
                    return said
                self._deaths = 0
                await self._far(said)
                line = asyncio.ensure_future(child.line())
        finally:
            line.cancel()
            with suppress(asyncio.CancelledError):
                await line

    async def _far(self, said: Far) -> None:
        told = said.told
        now = replace(self._progress, buckets=told.buckets, buckets_all=told.buckets_all, rows=told.rows, why="")
        if monotonic() - self._told >= TELL_SECONDS:
            self._progress = now
            await self._tell()

    async def _wait(self, why: str, seconds: float) -> None:
        await self._tell(why=f"{why}; tried again soon")
        until = monotonic() + seconds
        while monotonic() < until:
            self._sure()
            await asyncio.sleep(LOOK_SECONDS)

    def _sure(self) -> Event:
        return self._jobs.sure(self._generation, self._asked)

    async def _tell(self, **changed: object) -> None:
        self._progress = replace(self._progress, at=_now(), **changed)
        await self._jobs.tell(self._generation, self._progress)
        self._told = monotonic()


def _now() -> datetime:
    return datetime.now(UTC)
