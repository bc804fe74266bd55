"""A source that a test tells what to say, listened to without Kafka: what tests of listening share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from app.domain.coverage import Interval, SourceStatus, entry
from app.domain.events import Event
from app.domain.spans import Span
from app.domain.watchdog import Volumes
from app.settings import Settings
from app.sources.source import Broken, Fact, Opened, Resume, Selection, Sure, Trouble, need
from app.topics import COVERAGE
from app.tracking import listening, outbox, subscribing, taking
from app.tracking.budget import Budget
from app.tracking.filling import Filler
from app.tracking.history import History
from app.tracking.lease import Lease
from app.tracking.ledger import Ledger, now_ms
from app.tracking.listening import Listener
from app.tracking.outbox import Outbox
from app.tracking.parcel import Parcel
from app.tracking.recent import Recent
from app.tracking.spool import Spool
from app.tracking.taking import Taker
from tests.support.spooled import ledger_view

HOUR = 3_600_000
LATE = 3600.0  # seconds: no test waits for it to be over
EVENT = Event(code="flood", name="flood", status="active", keywords=("flood",))
Item = Opened | list[bytes] | Fact | Broken | asyncio.Event


class Holder:
    """A lease as a test wants it."""

    generation = 1
    tenure = 0

    def __init__(self, *, sure: bool = False) -> None:
        self.sure = sure
        self.held = True


class Told:
    """A source whose lines are `key cursor seen_ms`; each connection gives what it is told to, and then stays."""

    name = "told"
    form = "jetstream-v2"
    silent_seconds = 25.0
    again_seconds = LATE
    selective = False
    filtered = False

    def __init__(self, *connections: Callable[[Resume], list[Item]]) -> None:
        self._connections = list(connections)
        self.resumed: list[Resume] = []
        self.selection = Selection({"flood": 1})
        self.selections: list[Selection] = []  # before that
        self.selected = 0
        self.released: list[int] = []  # after how many connections
        self.against: Broken | None = None
        self.closed = 0  # when the last connection was
        self.changes = False  # whether a `select` has something to change

    async def select(self, events: Sequence[Event], sure: Sure) -> Selection:
        self.selected += 1
        if self.changes:
            need(sure)
        if self.selections:
            return self.selections.pop(0)
        if self.against is not None:
            raise self.against
        return self.selection

    async def listen(self, resume: Resume) -> AsyncGenerator[Opened | list[bytes] | Fact, None]:
        self.resumed.append(resume)
        try:
            for item in self._connections.pop(0)(resume):
                if isinstance(item, Broken):
                    raise item
                if isinstance(item, asyncio.Event):
                    await item.wait()
                else:
                    yield item
            await asyncio.Event().wait()
        finally:
            self.closed = now_ms()

    def fact(self, line: bytes) -> Fact:
        if line == b"bye":
            return Fact(ends="the source said bye", trouble=Trouble.DISCONNECTED)
        if b" " not in line:
            return Fact()
        key, cursor, seen = line.split()
        return Fact(key=key.decode(), cursor=int(cursor), seen_ms=int(seen))

    async def release(self) -> None:
        self.released.append(len(self.resumed))

    async def close(self) -> None: ...


class Missed:
    """A filler that notes what it is told to fill."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.lost: dict[str, list[Span]] = {}  # of some events

    async def fill(self, missed: Iterable[Span], lost: dict[str, list[Span]]) -> None:
        self.spans += missed
        for code, some in lost.items():
            self.lost.setdefault(code, []).extend(some)


class Written:
    """The intervals that are written down, newest of each key."""

    def __init__(self) -> None:
        self._intervals: dict[str, Interval] = {}
        self.words = ""

    def put(self, parcel: Parcel) -> None:
        found = entry(parcel.value)
        if isinstance(found, SourceStatus):
            self.words = found.words
        if parcel.topic == COVERAGE.name and isinstance(found, Interval):
            self._intervals[found.key] = found

    @property
    def intervals(self) -> list[Interval]:
        return list(self._intervals.values())


def be_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it looked at everything a hundred times a second."""
    for module, name in ((outbox, "SPOOL_AFTER_SECONDS"), (outbox, "_LOOK_SECONDS"), (listening, "_TICK_SECONDS")):
        monkeypatch.setattr(module, name, 0.01)
    monkeypatch.setattr(taking, "_SETTLE_SECONDS", LATE)  # a slow disk is no reason to go on without what it has taken
    for module in (listening, subscribing):
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)


@asynccontextmanager
async def listened(
    source: Told,
    tmp_path: Path,
    last: Interval | None = None,
    wanted: Sequence[Event] = (EVENT,),
    *,
    holder: Holder | None = None,
    spool: Spool | None = None,
    filler: Filler | None = None,
    budget: Budget | None = None,
) -> AsyncIterator[Written]:
    """Have it listened to; what is heard goes to the disk, as without Kafka."""
    settings, written = Settings(), Written()
    kept = spool or Spool(tmp_path, 10**7)
    box = Outbox(settings, Lease(settings), kept, History(settings, {}), ledger_view(settings))
    ledger = Ledger(source.name, written.put, Volumes(), source.silent_seconds)
    box.on_kept = ledger.kept
    taker = Taker(settings, source, ledger, box, Recent())
    spent = budget or Budget(settings, source.name, ())
    lease = cast(Lease, holder or Holder())
    listener = Listener(source, taker, ledger, spent, lambda: wanted, lease, filler)
    async with box:
        task = asyncio.create_task(listener.run(last))
        try:
            yield written
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(truth: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not truth():  # noqa: ASYNC110 -- a ledger tells nobody
            await asyncio.sleep(0.01)


def line(cursor: int, seen_ms: int) -> bytes:
    return b"%d %d %d" % (cursor, cursor, seen_ms)


def interval(until_ms: int, cursor: int) -> Interval:
    return Interval(
        source="told", connection="before", opened=until_ms - 1, since=until_ms - 1, until=until_ms, cursor=cursor
    )
