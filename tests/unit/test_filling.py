"""Gaps are filled from a search: nothing is read twice, nothing is claimed that is not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import orjson
import pytest

from app.domain.coverage import Interval, Wish, entry
from app.domain.decisions import Command, decide
from app.domain.events import Definition, Event
from app.domain.records import raw_record
from app.domain.spans import Span
from app.settings import Settings
from app.sources.source import Asking, Broken, Found, Place, Query, Searchable, Trouble
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
        given: dict[str, Any] = {}
        if action in ("create", "edit"):
            given["definition"] = Definition(name=code, keywords=(code if action == "create" else f"new {code}",))
        at = datetime.fromtimestamp((NOW - before) / 1000, UTC)
        made = decide(
            Command(id=f"{action}{before}", action=cast(Any, action), code=code, at=at, who="a test", **given), made
        )
    assert made is not None
    return made


FLOOD = event(("create", 30 * DAY))


class Search:
    """A source with some pages for each of two queries, two posts a page; it may break off before some."""

    name, form, reach_ms, finds, selective = "x", "v2", 7 * DAY, "search", True

    def __init__(self, *, breaks: Sequence[Place] = (), pages: int = 3, trouble: Trouble = Trouble.ENDED) -> None:
        self.breaks = list(breaks)
        self.pages = pages
        self.trouble = trouble
        self.asked: list[tuple[list[str], int, int]] = []
        self.keywords: list[list[str]] = []
        self.refused: dict[str, list[str]] = {}
        self.read: list[Place] = []

    def asking(self, events: Sequence[Event]) -> Asking:
        codes = tuple(one.code for one in events if one.code not in self.refused)
        return Asking(events, [Query("one", codes), Query("another", codes)], self.refused)

    async def search(self, asking: Asking, since_ms: int, until_ms: int, place: Place) -> AsyncIterator[Found]:
        self.asked.append(([one.code for one in asking.events], since_ms, until_ms))
        self.keywords.append([keyword for one in asking.events for keyword in one.keywords])
        while place.query < len(asking.queries):
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


def filler(
    source: Search,
    kept: Kept,
    *events: Event,
    left: Sequence[tuple[int, int]] = (),
    away: Sequence[tuple[int, int]] = (),
    hard: int | None = None,
    heard: Callable[[], Awaitable[list[Span]]] | None = None,
    lost: dict[str, list[Span]] | None = None,
) -> Filler:
    budget, outbox = Budget(Settings(x_reads_hard=hard), "x", []), cast(Outbox, kept)
    return Filler(cast(Searchable, source), budget, outbox, lambda: events or (FLOOD,), left, away, heard, lost)


def claimed(kept: Kept) -> list[tuple[list[str], int, int]]:
    return [([one.code for one in made.events], made.since, made.until) for made in kept.ledger if made.events]


async def test_a_gap_is_filled_and_claimed() -> None:
    source, kept = Search(), Kept()
    await filler(source, kept).fill([(NOW - HOUR, NOW)])
    assert len(kept.pages) == 6
    assert {dict(page.headers)["origin"] for page in kept.pages} == {b"search"}
    (made,) = kept.ledger
    assert (made.posts, sum(made.reads.values()), made.origin) == (12, 12, "search")
    assert claimed(kept) == [(["flood"], NOW - HOUR, NOW)]


async def test_what_is_on_disk_still_is_not_paid_for_once_more() -> None:
    source, kept = Search(), Kept()
    sent = asyncio.Event()

    async def heard() -> list[Span]:
        await sent.wait()
        return [(NOW - 5 * HOUR, NOW - 3 * HOUR), (NOW - HOUR, NOW - HOUR // 2)]

    made = filler(source, kept, left=[(NOW - 4 * HOUR, NOW - 2 * HOUR)], heard=heard)
    filling = asyncio.create_task(made.fill([(NOW - HOUR, NOW)]))
    await asyncio.sleep(0)
    assert source.asked == []
    sent.set()
    await filling
    assert [span for _, *span in source.asked] == [[NOW - 3 * HOUR, NOW - 2 * HOUR], [NOW - HOUR // 2, NOW]]


async def test_after_a_break_it_goes_on_where_it_was() -> None:
    source, kept = Search(breaks=[Place(0, "2"), Place(1), Place(1, "1")]), Kept()
    await filler(source, kept).fill([(NOW - HOUR, NOW)])
    assert source.read == [Place(0), Place(0, "1"), Place(0, "2"), Place(1), Place(1, "1"), Place(1, "2")]
    (made,) = kept.ledger
    assert (made.posts, claimed(kept)) == (12, [(["flood"], NOW - HOUR, NOW)])


async def no_wait(_: float) -> None: ...


async def test_what_breaks_again_and_again_is_left_for_the_next_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncio.sleep", no_wait)
    source, kept = Search(breaks=[Place(1, "2")] * 5), Kept()
    made = filler(source, kept)
    await made.fill([(NOW - HOUR, NOW)])
    assert claimed(kept) == []
    (told,) = kept.ledger
    assert (told.ended, told.posts, told.until) == ("recent search broke off", 10, told.since), "what was read is told"
    await made.fill([])
    assert source.read[5:] == [Place(1), Place(1, "1"), Place(1, "2")], "the query begins anew, the first is not read"
    assert claimed(kept) == [(["flood"], NOW - HOUR, NOW)]


async def test_it_claims_nothing_before_its_posts_are_kept() -> None:
    source, kept = Search(), Kept()
    kept.on_their_way.clear()
    task = asyncio.create_task(filler(source, kept).fill([(NOW - HOUR, NOW)]))
    while kept.looked < 3:  # noqa: ASYNC110 -- it tells nobody
        await asyncio.sleep(0)
    assert (len(kept.pages), claimed(kept)) == (6, [])
    kept.on_their_way.set()
    await task
    assert claimed(kept) == [(["flood"], NOW - HOUR, NOW)]


async def test_of_an_old_gap_what_search_reaches_is_filled_and_no_more_claimed() -> None:
    source, kept = Search(), Kept()
    await filler(source, kept).fill([(NOW - 9 * DAY, NOW - DAY), (NOW - 12 * DAY, NOW - 8 * DAY)])
    reached = NOW - 7 * DAY + MARGIN_MS
    assert source.asked == [(["flood"], reached, NOW - DAY)]
    assert claimed(kept) == [(["flood"], reached, NOW - DAY)]
    assert kept.ledger[0].events[0].since == reached


async def test_each_event_is_searched_for_while_it_was_active() -> None:
    late = event(("create", HOUR // 2), code="late")
    ended = event(("create", 2 * HOUR), ("pause", HOUR // 4), ("resume", 1), code="paused")
    source, kept = Search(), Kept()
    await filler(source, kept, late, ended).fill([(NOW - HOUR, NOW - 2)])
    assert source.asked == [
        (["paused"], NOW - HOUR, NOW - HOUR // 2),
        (["late", "paused"], NOW - HOUR // 2, NOW - HOUR // 4),
        (["late"], NOW - HOUR // 4, NOW - 2),
    ]
    assert claimed(kept) == source.asked


async def test_an_event_that_has_ended_since_is_searched_for_as_it_was_then() -> None:
    ended = event(("create", 3 * HOUR), ("edit", HOUR), ("stop", HOUR // 2))
    source, kept = Search(), Kept()
    await filler(source, kept, ended).fill([(NOW - 2 * HOUR, NOW - 10)])
    assert source.asked == [
        (["flood"], NOW - 2 * HOUR, NOW - HOUR),
        (["flood"], NOW - HOUR, NOW - HOUR // 2),
    ]
    assert source.keywords == [["flood"], ["new flood"]]
    assert claimed(kept) == source.asked
    assert [made.events[0].version for made in kept.ledger] == [1, 2]
    moments = [raw_record("raw", 0, 0, page.value, dict(page.headers), NOW).wanted_at for page in kept.pages]
    assert moments == [NOW - 2 * HOUR] * 6 + [NOW - HOUR] * 6, "the classifiers take them for what the event was then"


async def test_an_event_that_is_deleted_is_not_searched_for() -> None:
    source, kept = Search(), Kept()
    deleted = event(("create", 3 * HOUR), ("stop", HOUR), ("delete", HOUR // 2))
    await filler(source, kept, deleted).fill([(NOW - 2 * HOUR, NOW)])
    assert (source.asked, kept.parcels) == ([], [])


async def test_a_wish_makes_good_no_time_in_which_other_keywords_were_wanted() -> None:
    edited = event(("create", 3 * HOUR), ("edit", HOUR), ("pause", HOUR // 2), ("resume", HOUR // 4))
    source, kept = Search(), Kept()
    entry = Interval(
        source="x",
        connection="wish-1",
        opened=NOW,
        since=NOW - 2 * HOUR,
        until=NOW,
        origin="search",
        wish=Wish(code="flood", version=edited.version),
    )
    assert entry.wish is not None
    assert await filler(source, kept, edited).hear(edited, entry, entry.wish)
    assert source.asked == [(["flood"], NOW - 2 * HOUR, NOW)]
    assert [(one.code, one.since, one.until) for one in kept.ledger[0].events] == [("flood", NOW - HOUR, None)]


async def test_what_cannot_be_searched_for_is_not_claimed() -> None:
    source, kept = Search(), Kept()
    source.refused = {"fire": ["f: too long"]}
    await filler(source, kept, FLOOD, event(("create", DAY), code="fire")).fill([(NOW - HOUR, NOW)])
    assert claimed(kept) == [(["flood"], NOW - HOUR, NOW)]
    assert [(one.code, one.since, one.what) for one in kept.ledger[0].refused] == [
        ("fire", NOW - HOUR, ("f: too long",))
    ]


async def test_what_was_left_by_another_tracker_is_filled_too() -> None:
    source, kept = Search(), Kept()
    made = filler(source, kept, left=[(NOW - 3 * HOUR, NOW - 2 * HOUR)])
    await made.fill([(NOW - HOUR, NOW)])
    await made.fill([])
    assert claimed(kept) == [(["flood"], NOW - 3 * HOUR, NOW - 2 * HOUR), (["flood"], NOW - HOUR, NOW)]
    assert len(source.asked) == 2


async def test_what_was_lost_of_some_events_is_searched_for_them_alone_and_once() -> None:
    fire, storm = event(("create", DAY), code="fire"), event(("create", 5 * HOUR), code="storm")
    source, kept = Search(), Kept()
    lost = {"flood": [(NOW - 8 * HOUR, NOW - 7 * HOUR)]}
    made = filler(source, kept, FLOOD, fire, storm, away=[(NOW - 2 * HOUR, NOW - HOUR)], lost=lost)
    late = [(NOW - 6 * HOUR, NOW - 3 * HOUR)]
    await made.fill(
        [(NOW - 4 * HOUR, NOW - 3 * HOUR)],
        {
            "flood": [*late, (NOW - 5 * HOUR, NOW - 4 * HOUR)],
            "storm": late,
            "gone": late,
            "fire": [(NOW - HOUR, NOW - HOUR)],
        },
    )
    everybody = [(["flood", "fire", "storm"], NOW - 4 * HOUR, NOW - 3 * HOUR)]
    some = [
        (["flood"], NOW - 8 * HOUR, NOW - 7 * HOUR),
        (["flood"], NOW - 6 * HOUR, NOW - 5 * HOUR),
        (["flood", "storm"], NOW - 5 * HOUR, NOW - 4 * HOUR),
    ]
    assert source.asked == everybody + some
    await made.fill([], {"fire": [(NOW - 3 * HOUR, NOW)]})
    assert source.asked[4:] == [(["fire"], NOW - 3 * HOUR, NOW - 2 * HOUR), (["fire"], NOW - HOUR, NOW)]
    assert claimed(kept) == source.asked


async def test_what_nobody_wanted_to_hear_is_no_gap() -> None:
    source, kept = Search(), Kept()
    left, away = [(NOW - 9 * HOUR, NOW - 7 * HOUR)], [(NOW - 8 * HOUR, NOW - 2 * HOUR)]
    made = filler(source, kept, left=left, away=away)
    await made.fill([(NOW - 3 * HOUR, NOW - HOUR)])
    assert claimed(kept) == [(["flood"], NOW - 9 * HOUR, NOW - 8 * HOUR), (["flood"], NOW - 2 * HOUR, NOW - HOUR)]


async def test_without_room_it_reads_no_more() -> None:
    source, kept = Search(), Kept()
    kept.most = 2
    made = filler(source, kept)
    await made.fill([(NOW - HOUR, NOW)])
    assert (len(source.read), claimed(kept)) == (2, [])
    kept.most = 10
    await made.fill([])
    assert (len(source.read), claimed(kept)) == (6, [(["flood"], NOW - HOUR, NOW)])


async def test_the_budget_ends_it() -> None:
    source, kept = Search(), Kept()
    await filler(source, kept, hard=3).fill([(NOW - HOUR, NOW)])
    assert (len(source.read), claimed(kept)) == (2, [])
    assert [sum(made.reads.values()) for made in kept.ledger] == [4]


async def test_two_connections_do_not_search_for_one_gap_at_once() -> None:
    source, kept = Search(), Kept()
    kept.on_their_way.clear()
    made = filler(source, kept)
    tasks = [asyncio.create_task(made.fill(missed)) for missed in ([(NOW - HOUR, NOW)], [])]
    while kept.looked < 3:  # noqa: ASYNC110 -- it tells nobody
        await asyncio.sleep(0)
    kept.on_their_way.set()
    await asyncio.gather(*tasks)
    assert len(source.asked) == 1


async def test_however_often_a_connection_is_made_meanwhile_one_search_waits_for_its_turn() -> None:
    source, kept = Search(), Kept()
    kept.on_their_way.clear()
    made = filler(source, kept)
    spans = [(NOW - hours * HOUR, NOW - hours * HOUR + 60_000) for hours in range(5, 0, -1)]
    tasks = [asyncio.create_task(made.fill([span])) for span in spans]
    while kept.looked < 20:  # noqa: ASYNC110 -- it tells nobody
        await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [False, False, True, True, True]
    kept.on_their_way.set()
    await asyncio.gather(*tasks)
    assert sorted(claimed(kept), key=lambda one: one[1]) == [(["flood"], *span) for span in spans]
