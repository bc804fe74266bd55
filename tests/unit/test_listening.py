"""A source is listened to through the ends of its connections: where it goes on, and what is written down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.domain.coverage import Interval, SourceStatus, entry
from app.domain.events import Event
from app.domain.watchdog import Volumes
from app.settings import Settings
from app.sources.source import Broken, Fact, Opened, Resume, Selection, Trouble
from app.topics import COVERAGE
from app.tracking import listening, outbox
from app.tracking.budget import Budget
from app.tracking.lease import Lease
from app.tracking.ledger import Ledger, now_ms
from app.tracking.listening import Listener
from app.tracking.outbox import Outbox
from app.tracking.parcel import Parcel
from app.tracking.recent import Recent
from app.tracking.spool import Spool
from app.tracking.taking import Taker

HOUR = 3_600_000
DEAD = "dead socket: no sign of life for 0 s"
EVENT = Event(code="flood", name="flood", status="active", keywords=("flood",))
Item = Opened | list[bytes] | Fact | Broken


class Told:
    """A source whose lines are `key cursor seen_ms`; each connection gives what it is told to, and then stays."""

    name = "told"
    form = "jetstream-v2"
    silent_seconds = 25.0
    selective = False

    def __init__(self, *connections: Callable[[Resume], list[Item]]) -> None:
        self._connections = list(connections)
        self.resumed: list[Resume] = []
        self.selection = Selection({"flood": 1})
        self.selected = 0
        self.released: list[int] = []  # after how many connections
        self.against: Broken | None = None

    async def select(self, events: Sequence[Event]) -> Selection:
        self.selected += 1
        if self.against is not None:
            raise self.against
        return self.selection

    async def listen(self, resume: Resume) -> AsyncGenerator[Opened | list[bytes] | Fact, None]:
        self.resumed.append(resume)
        for item in self._connections.pop(0)(resume):
            if isinstance(item, Broken):
                raise item
            yield item
        await asyncio.Event().wait()

    def fact(self, line: bytes) -> Fact:
        if b" " not in line:
            return Fact()
        key, cursor, seen = line.split()
        return Fact(key=key.decode(), cursor=int(cursor), seen_ms=int(seen))

    async def release(self) -> None:
        self.released.append(len(self.resumed))

    async def close(self) -> None: ...


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


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((outbox, "SPOOL_AFTER_SECONDS"), (outbox, "_LOOK_SECONDS"), (listening, "_TICK_SECONDS")):
        monkeypatch.setattr(module, name, 0.01)
    monkeypatch.setattr(listening, "_LOOK_SECONDS", 0.01)


@asynccontextmanager
async def listened(
    source: Told,
    tmp_path: Path,
    last: Interval | None = None,
    wanted: Sequence[Event] = (EVENT,),
    *,
    sure: bool = False,
) -> AsyncIterator[Written]:
    """Have it listened to; what is heard goes to the disk, as without Kafka."""
    settings, written = Settings(), Written()
    box = Outbox(settings, Lease(settings), Spool(tmp_path, 10**7), lambda _: pytest.fail("nothing is sent"))
    ledger = Ledger(source.name, written.put, Volumes(), source.silent_seconds)
    box.on_kept = ledger.kept
    taker = Taker(settings, source, ledger, box, Recent())
    listener = Listener(source, taker, ledger, Budget(settings, source.name, ()), lambda: wanted, 1, lambda: sure)
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


async def test_what_is_left_open_is_ended_before_the_first_connection_and_after_a_dead_socket(tmp_path: Path) -> None:
    def silent(seconds: float, *items: Item) -> Callable[[Resume], list[Item]]:
        def told(_: Resume) -> list[Item]:
            source.silent_seconds = seconds
            return [Opened(), *items]

        return told

    source = Told(silent(25.0, Broken(Trouble.ENDED, "cut")), silent(0.05), silent(25.0))
    async with listened(source, tmp_path, sure=True) as written:
        await until(lambda: len(written.intervals) == 3)
        assert [one.ended for one in written.intervals] == ["cut", DEAD, None]
        assert source.released == [0, 2]


async def test_a_connection_that_breaks_while_it_catches_up_is_followed_by_one_from_there(tmp_path: Path) -> None:
    now = now_ms()
    source = Told(
        lambda resume: [
            Opened(resume.heard_ms),
            [line(8, now - HOUR + 60_000), line(9, now - HOUR + 61_000)],
            Broken(Trouble.ENDED, "cut"),
        ],
        lambda resume: [Opened(resume.heard_ms), [line(9, now - HOUR + 61_000), line(10, now_ms())]],
    )
    async with listened(source, tmp_path, interval(now - HOUR, 7)) as written:
        await until(lambda: len(written.intervals) == 2 and not written.intervals[1].behind)
        first, second = written.intervals
    assert source.resumed == [Resume(7, now - HOUR), Resume(9, now - HOUR + 61_000)]
    assert (first.since, first.until, first.cursor, first.behind) == (now - HOUR, now - HOUR + 61_000, 9, True)
    assert (second.since, second.cursor, second.duplicates) == (now - HOUR + 61_000, 10, 1)
    assert second.until >= now


@pytest.mark.parametrize("more", [Fact(cursor=6), [b"5 6 0"]], ids=["left out", "came before"])
async def test_what_is_not_kept_moves_the_place_to_go_on(tmp_path: Path, more: Item) -> None:
    source = Told(lambda _: [Opened(), [line(5, now_ms())], more])
    async with listened(source, tmp_path) as written:
        await until(lambda: bool(written.intervals) and written.intervals[0].cursor == 6)
        assert written.intervals[0].posts == 1


async def test_a_record_says_when_the_source_saw_the_last_of_its_lines(tmp_path: Path) -> None:
    source = Told(lambda _: [Opened(), [b"5 5 700", b"6 6 800"]])
    async with listened(source, tmp_path) as written:
        await until(lambda: bool(written.intervals) and written.intervals[0].posts == 2)
    (parcel,) = Spool(tmp_path, 10**7).first()
    assert (parcel.cursor, parcel.seen_ms) == (6, 800)


async def test_what_an_earlier_connection_has_told_says_nothing_of_the_next(tmp_path: Path) -> None:
    source = Told(
        lambda _: [Opened(), [line(5, now_ms())], Broken(Trouble.ENDED, "cut")],
        lambda resume: [Opened(resume.heard_ms), [b"notice"]],
    )
    async with listened(source, tmp_path) as written:
        await until(lambda: len(written.intervals) == 2 and written.intervals[1].lines == 1)
        assert written.intervals[1].behind


async def test_what_a_source_has_refused_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Told(lambda _: [Opened()])
    source.selection = Selection({}, {"flood": ("no room",)})
    async with listened(source, tmp_path) as written:
        await until(lambda: bool(written.intervals))
        assert (source.selected, written.intervals[0].events) == (1, [])
        monkeypatch.setattr(listening, "_AGAIN_SECONDS", 0.0)
        await until(lambda: source.selected == 3)
        source.selection = Selection({"flood": 1})
        await until(lambda: bool(written.intervals[0].events))
        assert written.intervals[0].events[0].version == 1
        asked = source.selected
        await asyncio.sleep(0.1)  # ten looks
        assert source.selected == asked


async def test_an_edit_that_the_source_does_not_take_is_not_heard_whole(tmp_path: Path) -> None:
    source, wanted = Told(lambda _: [Opened()]), [EVENT]
    source.selection = Selection({"flood": 1}, {"flood": ("a word alone is too broad",)})
    async with listened(source, tmp_path, wanted=wanted) as written:
        await until(lambda: bool(written.intervals))
        source.against = Broken(Trouble.HTTP, "503", retry_after=0.0)
        wanted[:] = [replace(EVENT, version=2, keywords=("flood", "storm")), replace(EVENT, code="new")]
        said = "what was changed last is not asked for yet: 503"
        await until(lambda: len(written.intervals[0].refused) == 3)
        late = {one.code: one.what for one in written.intervals[0].refused if one.until is None}
        assert late == {"flood": ("a word alone is too broad", said), "new": (said,)}
        assert [(one.code, one.version, one.until) for one in written.intervals[0].events] == [("flood", 1, None)]
        source.against, source.selection = None, Selection({"flood": 2, "new": 1})
        await until(lambda: len(written.intervals[0].events) == 3)
        assert all(one.until is not None for one in written.intervals[0].refused)


async def test_what_is_asked_for_is_taken_back_when_no_event_is_active(tmp_path: Path) -> None:
    source, wanted = Told(), []
    source.against = Broken(Trouble.NETWORK, "503")
    async with listened(source, tmp_path, wanted=wanted) as written:
        await until(lambda: "does not take back what it was asked for: 503" in written.words)
        assert written.words.startswith(listening.IDLE)
        source.against = None
        await until(lambda: written.words == listening.IDLE)
        assert source.selected == 2
