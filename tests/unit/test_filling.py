"""Gaps are filled from a search: nothing is read twice, nothing is claimed that is not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import orjson
import pytest

from app.domain.coverage import Interval, entry
from app.domain.decisions import Command, decide
from app.domain.events import Definition, Event
from app.settings import Settings
from app.sources.source import Broken, Found, Place, Searchable, Trouble
from app.topics import COVERAGE
from app.tracking import filling
from app.tracking.budget import Budget
from app.tracking.filling import MARGIN_MS, Filler
from app.tracking.outbox import Outbox
from app.tracking.parcel import Parcel
from app.tracking.spool import SpoolFull

NOW = 1_800_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR


def event(*steps: tuple[str, int], code: str = "flood") -> Event:
    """An event that was created, and so on, so many milliseconds before now."""
    made = None
    for action, before in steps:
        given: dict[str, Any] = {"definition": Definition(name=code, keywords=(code,))} if action == "create" else {}
        at = datetime.fromtimestamp((NOW - before) / 1000, UTC)
        made = decide(
            Command(id=f"{action}{before}", action=cast(Any, action), code=code, at=at, who="a test", **given), made
        )
    assert made is not None
    return made


FLOOD = event(("create", 30 * DAY))


class Search:
    """A source with some pages for each of two queries, two posts a page; it may break off before some."""

    name, form, reach_ms = "x", "v2", 7 * DAY

    def __init__(self, *, breaks: Sequence[Place] = (), pages: int = 3, trouble: Trouble = Trouble.ENDED) -> None:
        self.breaks = list(breaks)
        self.pages = pages
        self.trouble = trouble
        self.asked: list[tuple[list[str], int, int]] = []
        self.read: list[Place] = []

    async def search(self, events: Sequence[Event], since_ms: int, until_ms: int, place: Place) -> AsyncIterator[Found]:
        self.asked.append(([one.code for one in events], since_ms, until_ms))
        while place.query < 2:
            if place in self.breaks:
                self.breaks.remove(place)
                raise Broken(self.trouble, "it broke off")
            self.read.append(place)
            page = int(place.page or 0) + 1
            line = orjson.dumps({"data": [{"id": f"{place.query}{page}a"}, {"id": f"{place.query}{page}b"}]})
            place = Place(place.query, str(page)) if page < self.pages else Place(place.query + 1)
            yield Found(line, place)


class Kept:
    """An outbox that has posts on their way for as long as it is told."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.on_their_way = asyncio.Event()
        self.on_their_way.set()
        self.most = 10**6
        self.looked = 0

    def put(self, parcel: Parcel) -> None:
        self.parcels.append(parcel)

    def holds(self, connection: str) -> bool:
        assert connection in {parcel.connection for parcel in self.parcels} | {""}
        self.looked += 1
        return not self.on_their_way.is_set()

    async def room(self) -> None:
        if len(self.pages) >= self.most:
            raise SpoolFull("the spool is full")

    @property
    def pages(self) -> list[Parcel]:
        return [parcel for parcel in self.parcels if parcel.topic != COVERAGE.name]

    @property
    def ledger(self) -> list[Interval]:
        """Its entries, newest of each."""
        entries = {parcel.key: entry(parcel.value) for parcel in self.parcels if parcel.topic == COVERAGE.name}
        return [one for one in entries.values() if isinstance(one, Interval)]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "now_ms", lambda: NOW)
    monkeypatch.setattr(filling, "_LOOK_SECONDS", 0)


def filler(source: Search, kept: Kept, *, left: Sequence[tuple[int, int]] = (), hard: int | None = None) -> Filler:
    budget = Budget(Settings(x_reads_hard=hard), "x", [])
    return Filler(cast(Searchable, source), budget, cast(Outbox, kept), left)


def claimed(kept: Kept) -> list[tuple[list[str], int, int]]:
    return [([one.code for one in made.events], made.since, made.until) for made in kept.ledger if made.events]


async def test_a_gap_is_filled_and_claimed() -> None:
    source, kept = Search(), Kept()
    await filler(source, kept).fill([FLOOD], [(NOW - HOUR, NOW)])
    assert len(kept.pages) == 6
    assert {dict(page.headers)["origin"] for page in kept.pages} == {b"search"}
    (made,) = kept.ledger
    assert (made.posts, sum(made.reads.values()), made.origin) == (12, 12, "search")
    assert claimed(kept) == [(["flood"], NOW - HOUR, NOW)]


async def test_after_a_break_it_goes_on_where_it_was() -> None:
    source, kept = Search(breaks=[Place(0, "2"), Place(1), Place(1, "1")]), Kept()
    await filler(source, kept).fill([FLOOD], [(NOW - HOUR, NOW)])
    assert source.read == [Place(0), Place(0, "1"), Place(0, "2"), Place(1), Place(1, "1"), Place(1, "2")]
    (made,) = kept.ledger
    assert (made.posts, claimed(kept)) == (12, [(["flood"], NOW - HOUR, NOW)])


async def no_wait(_: float) -> None: ...


async def test_what_breaks_again_and_again_is_left_for_the_next_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncio.sleep", no_wait)
    source, kept = Search(breaks=[Place(1, "2")] * 5), Kept()
    made = filler(source, kept)
    await made.fill([FLOOD], [(NOW - HOUR, NOW)])
    assert claimed(kept) == []
    (told,) = kept.ledger
    assert (told.ended, told.posts, told.until) == ("recent search broke off", 10, told.since), "what was read is told"
    await made.fill([FLOOD], [])
    assert source.read[5:] == [Place(1), Place(1, "1"), Place(1, "2")], "the query begins anew, the first is not read"
    assert claimed(kept) == [(["flood"], NOW - HOUR, NOW)]


async def test_it_claims_nothing_before_its_posts_are_kept() -> None:
    source, kept = Search(), Kept()
    kept.on_their_way.clear()
    task = asyncio.create_task(filler(source, kept).fill([FLOOD], [(NOW - HOUR, NOW)]))
    while kept.looked < 3:  # noqa: ASYNC110 -- it tells nobody
        await asyncio.sleep(0)
    assert (len(kept.pages), claimed(kept)) == (6, [])
    kept.on_their_way.set()
    await task
    assert claimed(kept) == [(["flood"], NOW - HOUR, NOW)]


async def test_of_an_old_gap_what_search_reaches_is_filled_and_no_more_claimed() -> None:
    source, kept = Search(), Kept()
    await filler(source, kept).fill([FLOOD], [(NOW - 9 * DAY, NOW - DAY), (NOW - 12 * DAY, NOW - 8 * DAY)])
    reached = NOW - 7 * DAY + MARGIN_MS
    assert source.asked == [(["flood"], reached, NOW - DAY)]
    assert claimed(kept) == [(["flood"], reached, NOW - DAY)]
    assert kept.ledger[0].events[0].since == reached


async def test_each_event_is_searched_for_while_it_was_active() -> None:
    late = event(("create", HOUR // 2), code="late")
    ended = event(("create", 2 * HOUR), ("pause", HOUR // 4), ("resume", 1), code="paused")
    source, kept = Search(), Kept()
    await filler(source, kept).fill([late, ended], [(NOW - HOUR, NOW - 2)])
    assert source.asked == [
        (["paused"], NOW - HOUR, NOW - HOUR // 2),
        (["late", "paused"], NOW - HOUR // 2, NOW - HOUR // 4),
        (["late"], NOW - HOUR // 4, NOW - 2),
    ]
    assert claimed(kept) == source.asked


async def test_what_was_left_by_another_tracker_is_filled_too() -> None:
    source, kept = Search(), Kept()
    made = filler(source, kept, left=[(NOW - 3 * HOUR, NOW - 2 * HOUR)])
    await made.fill([FLOOD], [(NOW - HOUR, NOW)])
    await made.fill([FLOOD], [])
    assert claimed(kept) == [(["flood"], NOW - 3 * HOUR, NOW - 2 * HOUR), (["flood"], NOW - HOUR, NOW)]
    assert len(source.asked) == 2


async def test_what_nobody_wanted_to_hear_is_no_gap() -> None:
    source, kept = Search(), Kept()
    left, away = [(NOW - 9 * HOUR, NOW - 7 * HOUR)], [(NOW - 8 * HOUR, NOW - 2 * HOUR)]
    made = Filler(cast(Searchable, source), Budget(Settings(), "x", []), cast(Outbox, kept), left, away)
    await made.fill([FLOOD], [(NOW - 3 * HOUR, NOW - HOUR)])
    assert claimed(kept) == [(["flood"], NOW - 9 * HOUR, NOW - 8 * HOUR), (["flood"], NOW - 2 * HOUR, NOW - HOUR)]


async def test_without_room_it_reads_no_more() -> None:
    source, kept = Search(), Kept()
    kept.most = 2
    made = filler(source, kept)
    await made.fill([FLOOD], [(NOW - HOUR, NOW)])
    assert (len(source.read), claimed(kept)) == (2, [])
    kept.most = 10
    await made.fill([FLOOD], [])
    assert (len(source.read), claimed(kept)) == (6, [(["flood"], NOW - HOUR, NOW)])


async def test_the_budget_ends_it() -> None:
    source, kept = Search(), Kept()
    await filler(source, kept, hard=3).fill([FLOOD], [(NOW - HOUR, NOW)])
    assert (len(source.read), claimed(kept)) == (2, [])
    assert [sum(made.reads.values()) for made in kept.ledger] == [4]


async def test_two_connections_do_not_search_for_one_gap_at_once() -> None:
    source, kept = Search(), Kept()
    kept.on_their_way.clear()
    made = filler(source, kept)
    tasks = [asyncio.create_task(made.fill([FLOOD], missed)) for missed in ([(NOW - HOUR, NOW)], [])]
    while kept.looked < 3:  # noqa: ASYNC110 -- it tells nobody
        await asyncio.sleep(0)
    kept.on_their_way.set()
    await asyncio.gather(*tasks)
    assert len(source.asked) == 1
