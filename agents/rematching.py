"""Rematches: what is kept of the raw posts goes through the matcher of one event again, as its people wish.

Beside the agent of commands, by its owner, one job after the other. A job's progress stands in the topic `rematches`
alone: it is told after the posts were sent, so whoever owns the event next goes on where one died, sends again what
was not told, and the normalizers know it (`standing`). The live path goes first: a job reads at most so many posts a
second, and waits while the workers have more to do than a little.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic

import msgspec
from aiokafka.errors import KafkaError
from msgspec.structs import replace

from agents.sending import Outgoing, send_all
from agents.tenure import Lost, Tenure
from app.clients.backlog import Backlog, backlog
from app.clients.retained import Part, kept_since, retained
from app.clients.view import View
from app.domain.classify import Classified, Intake, classify
from app.domain.events import Event, Rematch
from app.domain.matcher import Matcher
from app.domain.records import RawRecord, classified_headers
from app.domain.rematch import Progress, cannot_hear, due, kept_wishes
from app.errors import Unavailable
from app.faustapp import App
from app.roles import NORMALIZING
from app.settings import Settings
from app.topics import CLASSIFIED, EVENT_COMMANDS, REMATCHES, full_name
from tables.event_ledger import EventLedger

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
AGAIN_SECONDS = 2.0  # after Kafka was away
RECORDS = 64  # read at once
SLICE_BYTES = 1024 * 1024  # classified at once: commands and heartbeats must not wait for more than some 10 ms
# Classified records that the workers have not dealt with: a second's work of one of them.
MOST_WAITING = 500
LOOK_AT_WORKERS_SECONDS = 1.0


class Superseded(Exception):
    """The event is not what the job was begun for: a newer wish takes it up, or it is no more."""


def add_rematching(app: App, settings: Settings, ledger: EventLedger, told: View[Progress]) -> None:
    """Give the app its task. `told` is the view of `rematches`."""
    jobs = _Jobs(app, settings, ledger, told)

    @app.task
    async def rematching() -> None:
        """Carry out what is due, one event after the other."""
        await app.may_work.wait()
        await told.wait_complete()
        while not app.should_stop:
            try:
                with suppress(Lost, Superseded):
                    await jobs.round()
            except (KafkaError, Unavailable, OSError, TimeoutError) as away:
                log.warning("a rematch waits for Kafka", extra={"why": repr(away)})
                await asyncio.sleep(AGAIN_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)


class _Jobs:
    def __init__(self, app: App, settings: Settings, ledger: EventLedger, told: View[Progress]) -> None:
        self._app = app
        self._settings = settings
        self._ledger = ledger
        self._told = told
        self._tenure = Tenure(app, settings)
        self._commands = full_name(EVENT_COMMANDS, settings)
        self._generation = 0

    async def round(self) -> None:
        """Forget what belongs to purged events, and carry out the wish that is oldest. Raises Lost, Superseded."""
        if self._app.rebalancing or not self._possible():
            return
        self._generation = self._tenure.generation
        await self._told.catch_up()
        await self._forget()
        if wished := self._wishes():
            _, event, wish = min(wished, key=lambda one: one[0])
            await self._carry_out(event, wish)

    def _possible(self) -> list[object]:
        """What there is to do, as far as is known without asking Kafka."""
        return [*self._wishes(), *self._of_purged()]

    def _wishes(self) -> list[tuple[datetime, Event, Rematch]]:
        events = (event for number in self._app.owned(self._commands) for event in self._ledger.events_of(number))
        return [
            (_asked_at(event, wish), event, wish)
            for event in events
            if (wish := due(event, self._told.items.get(event.code))) is not None
        ]

    def _of_purged(self) -> list[str]:
        owned = self._app.owned(self._commands)
        return [
            code
            for code in self._told.items
            if self._ledger.partition_of(code) in owned
            and (entry := self._ledger.get(code)).event is None
            and entry.version > 0  # else it is not known, or not yet
        ]

    async def _forget(self) -> None:
        for code in self._of_purged():
            await self._tenure.confirm(self._generation)
            await send_all(self._app, [Outgoing(full_name(REMATCHES, self._settings), code.encode(), None)])

    async def _carry_out(self, event: Event, wish: Rematch) -> None:
        """Begin a job, or go on with it, to its end."""
        progress = self._told.items.get(event.code)
        if why := cannot_hear(event):
            await self._end(event, wish, progress, why)
            return
        if progress is None or progress.born != event.born or progress.version != wish.version:
            progress = await self._begin(event, wish)
        async with (
            backlog(self._settings, NORMALIZING) as workers,
            retained(self._settings, progress.stretches) as source,
        ):
            pace = _Pace(self._settings.rematch_rate, workers, progress.posts)
            while not progress.reached:
                if not await pace.may_go_on():
                    self._sure(progress)
                    if progress.state != "waiting":
                        progress = await self._tell(replace(progress, state="waiting", at=_now()), progress)
                    continue
                part = await source.take(RECORDS)
                progress = await self._hear(part, progress)
                await pace.keep(progress.posts)
        await self._tell(replace(progress, state="done", at=_now()), progress)
        log.info("rematch done", extra={"code": event.code, "posts": progress.posts, "matched": progress.matched})

    async def _begin(self, event: Event, wish: Rematch) -> Progress:
        """Draw the stop line: told before anything is sent, so that a job that was killed begins at the same place."""
        kept = await kept_since(self._settings, wish.since)
        now = _now()
        progress = Progress(
            code=event.code,
            born=event.born,
            version=wish.version,
            since=wish.since,
            until=now,
            kept_since=kept.since,
            at=now,
            stretches=kept.stretches,
        )
        return await self._tell(progress, progress)

    async def _end(self, event: Event, wish: Rematch, progress: Progress | None, why: str) -> None:
        now = _now()
        if progress is None or progress.born != event.born:
            progress = Progress(
                code=event.code, born=event.born, version=0, since=wish.since, until=now, at=now, stretches={}
            )
        await self._tenure.confirm(self._generation)
        await self._send(replace(progress, version=wish.version, state="ended", why=why, at=now))

    async def _hear(self, part: Part, progress: Progress) -> Progress:
        """Send what matches of some records, then tell how far the job is."""
        event = self._sure(progress)
        # Whether it collects now is of no account: its people wish it to hear the past.
        matcher = Matcher([replace(event, status="active")])
        heard: list[tuple[RawRecord, Intake]] = []
        outgoing: list[Outgoing] = []
        # What a source was asked for by another event's wish is that event's alone.
        for records in _slices(record for record in part.records if record.event in ("", progress.code)):
            found = classify(records, matcher, self._settings.partitions)
            heard += _each(records, found)
            outgoing += _outgoing(found, full_name(CLASSIFIED, self._settings), progress.version)
            await asyncio.sleep(0)
        if outgoing:
            await self._confirm(progress)
            await send_all(self._app, outgoing)
        after = progress.after(part.reached, heard, _now())
        return after if _same_place(after, progress) else await self._tell(after, progress)

    def _sure(self, progress: Progress) -> Event:
        """The event as it stands. Raises Superseded where the job is no more its job, Lost where it is another's."""
        if self._app.rebalancing or not self._tenure.stands(self._generation):
            raise Lost
        event = self._ledger.get(progress.code).event
        if event is None or event.born != progress.born or cannot_hear(event):
            raise Superseded
        if kept_wishes(event)[-1].version != progress.version:
            raise Superseded
        return event

    async def _confirm(self, progress: Progress) -> None:
        await self._tenure.confirm(self._generation)
        self._sure(progress)

    async def _tell(self, progress: Progress, before: Progress) -> Progress:
        await self._confirm(before)
        await self._send(progress)
        return progress

    async def _send(self, progress: Progress) -> None:
        topic = full_name(REMATCHES, self._settings)
        await send_all(self._app, [Outgoing(topic, progress.code.encode(), msgspec.json.encode(progress))])


class _Pace:
    """Holds a job back: at most so many posts a second, and nothing while the workers are busy."""

    def __init__(self, rate: float, workers: Backlog, posts: int) -> None:
        self._rate = rate
        self._workers = workers
        self._looked = 0.0
        self._room = True
        self._since = monotonic()
        self._counted = posts

    async def may_go_on(self) -> bool:
        """Whether the workers have room for more; where they have not, a while passes."""
        if not self._room:
            await asyncio.sleep(LOOK_AT_WORKERS_SECONDS)
        if not self._room or monotonic() - self._looked >= LOOK_AT_WORKERS_SECONDS:
            self._room = await self._workers.records() <= MOST_WAITING
            self._looked = monotonic()
        return self._room

    async def keep(self, posts: int) -> None:
        """Let the time pass that the posts since the last call take; a pause is not caught up on."""
        new, self._counted = posts - self._counted, posts
        await asyncio.sleep(max(0.0, new / self._rate - (monotonic() - self._since)))
        self._since = monotonic()


def _slices(records: Iterable[RawRecord]) -> Iterator[list[RawRecord]]:
    piece: list[RawRecord] = []
    size = 0
    for record in records:
        piece.append(replace(record, origin="rematch"))
        size += len(record.value)
        if size >= SLICE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _each(records: Iterable[RawRecord], found: Classified) -> list[tuple[RawRecord, Intake]]:
    intake = {number: iter(entries) for number, entries in found.intake.items()}
    return [(record, next(intake[record.partition])) for record in records]


def _outgoing(found: Classified, topic: str, rematch: int) -> Iterator[Outgoing]:
    for bundle in found.bundles:
        headers = classified_headers(bundle.event.version, bundle.lines, rematch)
        yield Outgoing(topic, bundle.event.code.encode(), b"\n".join(bundle.posts), headers, bundle.partition)


def _asked_at(event: Event, wish: Rematch) -> datetime:
    """When it was wished, so that the one who waits longest is next."""
    return next((change.at for change in event.history if change.version == wish.version), wish.since)


def _same_place(one: Progress, other: Progress) -> bool:
    return (one.stretches, one.posts, one.state) == (other.stretches, other.posts, other.state)


def _now() -> datetime:
    return datetime.now(UTC)
