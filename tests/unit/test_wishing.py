"""What an event wishes to hear of the past is asked of a source: once, to its end, and by whoever takes over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
import orjson
import pytest

from app.domain.coverage import Entry, InForce, Interval, Wish, entry, outdates
from app.domain.decisions import Command, decide
from app.domain.events import Definition, Event
from app.domain.heard import coverage, unheard
from app.domain.matcher import Matcher
from app.domain.records import RawRecord, raw_record
from app.domain.rematch import PAST_SOURCES
from app.domain.wishes import Heard, entry_of, heard, source_wishes, span_of
from app.settings import Settings
from app.sources.source import Asking, Broken, Found, Place, Query, Searchable, Trouble
from app.topics import COVERAGE
from app.tracking import filling, wishing
from app.tracking.budget import Budget
from app.tracking.filling import Filler
from app.tracking.outbox import Outbox
from app.tracking.parcel import Parcel
from app.tracking.wishing import Wisher
from tables.known_events import KnownEvents

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
HOUR = 3_600_000


def command(action: Any, minutes: float, **rest: Any) -> Command:
    at = NOW - timedelta(minutes=minutes)
    return Command(id=f"{action}{minutes}", action=action, code="flood", at=at, who="a test", **rest)


def event(*more: Command, source: str = "x") -> Event:
    """An event that was created an hour ago and wished, ten minutes ago, to hear the last two hours."""
    made = decide(command("create", 60, definition=Definition(name="Flood", keywords=("flood",))), None)
    since = NOW - timedelta(hours=2)
    for one in (command("rematch", 10, rematch_since=since, rematch_source=source), *more):
        made = decide(one, made)
    return made


class Search:
    """A source with five pages of two posts, the third without any; it may break off once before one."""

    name, form, selective, finds = "x", "v2", True, "search"
    reach_ms: int | None = None

    def __init__(self, *, breaks: Sequence[str] = (), always: bool = False, text: str = "one") -> None:
        self.breaks = list(breaks)
        self.always = always
        self.text = text
        self.read: list[str] = []
        self.asked: list[tuple[tuple[str, ...], int, int]] = []
        self.begins: int | None = None
        self.closed = 0

    def asking(self, events: Sequence[Event]) -> Asking:
        return Asking(events, [Query(self.text, tuple(one.code for one in events))])

    async def search(self, asking: Asking, since: int, until: int, place: Place) -> AsyncGenerator[Found, None]:
        self.asked.append((asking.events[0].keywords, since, until))
        try:
            for number in range(int(place.page or 0), 5 if place.query == 0 else 0):
                if str(number) in self.breaks:
                    if not self.always:
                        self.breaks.remove(str(number))
                    raise Broken(Trouble.ENDED, "it broke off")
                self.read.append(str(number))
                data = [{"id": f"{number}a"}, {"id": f"{number}b"}]
                then = Place(1) if number == 4 else Place(0, str(number + 1))
                yield Found(b"" if number == 2 else orjson.dumps({"data": data}), then, self.begins, since + number)
        finally:
            self.closed += 1


class Kept:
    """An outbox that has posts on their way for as long as it is told; what was told stands in `entries`."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.pages: list[Parcel] = []
        self.told: list[Interval] = []
        self.on_their_way = asyncio.Event()
        self.on_their_way.set()

    def put(self, parcel: Parcel) -> None:
        if parcel.topic != COVERAGE.name:
            self.pages.append(parcel)
            return
        read = entry(parcel.value)
        assert isinstance(read, Interval)
        self.told.append(read)
        self.entries[(parcel.key or b"").decode()] = read

    def holds(self, _connection: str) -> bool:
        return not self.on_their_way.is_set()

    async def room(self) -> None: ...


class World:
    """A tracker with one source, and the events that are wanted."""

    def __init__(self, source: Search | None, kept: Kept, wanted: list[Event], hard: int | None = None) -> None:
        self.kept, self.wanted = kept, wanted
        budget = Budget(Settings(x_reads_hard=hard), "x", [])
        filler = None
        if source is not None:
            filler = Filler(cast(Searchable, source), budget, cast(Outbox, kept), lambda: ())
        self.wisher = Wisher("x", filler, "it is off", lambda: self.wanted, kept.entries.values, kept.put)

    async def run(self, state: str, then: Event | None = None) -> Heard:
        """Let it work until the wish is in that state."""
        task = asyncio.create_task(self.wisher.run())
        try:
            async with asyncio.timeout(10):
                while self.now(then).state != state:
                    assert not task.done()
                    await asyncio.sleep(0)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return self.now(then)

    def now(self, then: Event | None = None) -> Heard:
        (told,) = heard(then or self.wanted[0], self.kept.entries.values())
        return told


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (filling, wishing):
        monkeypatch.setattr(module, "_LOOK_SECONDS", 0)
        monkeypatch.setattr(module, "now_ms", lambda: NOW_MS)


async def test_a_wish_is_carried_out_once() -> None:
    source, kept = Search(), Kept()
    world = World(source, kept, [event()])
    assert world.now().state == "asked"
    told = await world.run("done")
    assert source.asked == [(("flood",), NOW_MS - 2 * HOUR, NOW_MS - HOUR // 6 + 5_000)]
    assert told == Heard(source="x", version=2, since=NOW - timedelta(hours=2), state="done", posts=8)
    headers = [dict(page.headers) for page in kept.pages]
    assert {(one["origin"], one["event"], one["source"]) for one in headers} == {(b"search", b"flood", b"x")}
    (made,) = kept.entries.values()
    assert isinstance(made, Interval)
    assert made.events == [InForce("flood", 2, NOW_MS - 2 * HOUR)], "as the event was when it was wished"
    for _ in range(2):
        again = World(source, kept, [event(command("edit", 5, definition=Definition(keywords=("dike",))))])
        await again.run("done")
    assert len(source.asked) == 1


async def test_it_asks_for_what_the_event_was_when_it_was_wished() -> None:
    source, kept = Search(), Kept()
    edited = event(command("edit", 5, definition=Definition(keywords=("dike",))))
    await World(source, kept, [edited]).run("done")
    assert source.asked[0][0] == ("flood",)


async def test_whoever_takes_over_goes_on_behind_what_is_kept() -> None:
    source, kept = Search(breaks=["4"], always=True), Kept()
    await World(source, kept, [event()]).run("waiting")
    assert source.read == ["0", "1", "2", "3"]
    source.always = False
    source.breaks = []
    told = await World(source, kept, [event()]).run("done")
    assert source.read == ["0", "1", "2", "3", "4"]
    assert (told.posts, len(kept.entries)) == (8, 1)
    assert source.closed == len(source.asked), "no connection is left open"


async def test_a_place_is_told_once_the_posts_before_it_are_kept() -> None:
    source, kept = Search(), Kept()
    kept.on_their_way.clear()
    world = World(source, kept, [event()])
    task = asyncio.create_task(world.run("done"))
    while not kept.pages:  # noqa: ASYNC110 -- it tells nobody
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(kept.pages) == 1
    assert {one.wish.page for one in kept.told if one.wish} == {""}
    kept.on_their_way.set()
    await task
    assert len(kept.pages) == 4


async def test_what_was_asked_otherwise_is_no_place_to_go_on_from() -> None:
    kept = Kept()
    await World(Search(breaks=["3"], always=True), kept, [event()]).run("waiting")
    source = Search(text="another")
    await World(source, kept, [event()]).run("done")
    assert source.read == ["0", "1", "2", "3", "4"]


async def test_it_rests_while_the_event_is_paused() -> None:
    source, kept = Search(), Kept()
    kept.on_their_way.clear()
    world = World(source, kept, [event()])
    working = asyncio.create_task(world.run("done", event()))
    while not kept.pages:  # noqa: ASYNC110 -- it tells nobody
        await asyncio.sleep(0)
    world.wanted = []
    while world.now(event()).state != "waiting":  # noqa: ASYNC110 -- it tells nobody
        await asyncio.sleep(0)
    assert (source.closed, world.now(event()).why) == (1, "the event collects nothing now")
    kept.on_their_way.set()
    world.wanted = [event()]
    assert (await working).state == "done"
    assert source.read == ["0", "0", "1", "2", "3", "4"], "the page that was not known to be kept is read again"


async def test_why_it_cannot_be_is_said_once() -> None:
    kept = Kept()
    told = await World(None, kept, [event()]).run("refused")
    assert (told.why, told.posts) == ("it is off", 0)
    await World(None, kept, [event()]).run("refused")
    assert len(kept.told) == 1
    assert (await World(Search(), kept, [event()]).run("done")).posts == 8


async def test_the_budget_is_kept() -> None:
    kept = Kept()
    told = await World(Search(), kept, [event()], hard=3).run("waiting")
    assert told.why.startswith("budget: 4 posts read")
    assert len(kept.pages) == 2


async def test_a_source_that_fails_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wishing, "_AGAIN_SECONDS", 0.0)
    source, kept = Search(), Kept()
    asking, source.asking = source.asking, None  # type: ignore[assignment,method-assign]
    world = World(source, kept, [event()])
    assert (await world.run("waiting")).why == "x failed (TypeError)"
    source.asking = asking  # type: ignore[method-assign]
    assert (await world.run("done")).why == ""


async def test_what_a_source_no_longer_has_is_not_claimed() -> None:
    source, kept = Search(), Kept()
    source.begins = NOW_MS - HOUR
    told = await World(source, kept, [event()]).run("done")
    assert told.begins == NOW - timedelta(hours=1)
    (made,) = kept.entries.values()
    assert isinstance(made, Interval)
    assert made.events[0].since == NOW_MS - HOUR
    late, kept = Search(), Kept()
    late.reach_ms = HOUR // 12
    told = await World(late, kept, [event()]).run("done")
    assert (late.asked, told.posts, told.begins is None) == ([], 0, False)


# ---- what stands in the ledger of it


def wished(since: int, until: int, **more: Any) -> Interval:
    given = {"source": "x", "connection": "w", "opened": NOW_MS, "origin": "search", "ended": "heard"}
    wish = {"wish": Wish(code="flood", version=2)}
    return Interval(since=NOW_MS + since, until=NOW_MS + until, **given | wish | more)


def live(since: int, until: int) -> Interval:
    span = {"opened": NOW_MS + since, "since": NOW_MS + since, "until": NOW_MS + until}
    return Interval(
        source="x", connection=f"c{since}", ended="cut", events=[InForce("flood", 1, NOW_MS + since)], **span
    )


def test_what_one_event_has_heard_makes_no_gap_of_all_good() -> None:
    entries = [live(-HOUR, -HOUR // 2), live(-HOUR // 4, 0)]
    one = wished(-2 * HOUR, 0, events=[InForce("flood", 1, NOW_MS - 2 * HOUR)], posts=50)
    gap = [(NOW_MS - HOUR // 2, NOW_MS - HOUR // 4)]
    assert unheard(entries) == unheard([*entries, one]) == gap
    (found,) = coverage(event(), [*entries, one], NOW_MS)
    assert (found.gaps, found.active, found.posts) == ([], HOUR, 0), "for the event itself it was heard"
    assert coverage(event(), [wished(-3 * HOUR, -2 * HOUR)], NOW_MS) == []


def test_how_far_a_wish_is_is_told_from_the_ledger() -> None:
    for state, shown in (("running", "running"), ("done", "done")):
        told = Wish(code="flood", version=2, state=cast(Any, state), reached=NOW_MS - HOUR)
        (one,) = heard(event(), [live(0, 1), wished(-HOUR, -HOUR, wish=told, posts=7)])
        assert (one.state, one.posts) == (shown, 7)
        assert one.begins == NOW - timedelta(hours=1), "later than it was asked for"
        assert one.reached == (NOW - timedelta(hours=1) if state == "running" else None)
    other = Wish(code="other", version=2, state="done")
    assert [one.state for one in heard(event(), [wished(-HOUR, 0, wish=other)])] == ["asked"]
    assert heard(event(command("stop", 1)), []) != []


@pytest.mark.parametrize("source", PAST_SOURCES)
def test_a_wish_reaches_to_where_the_live_path_hears_a_new_event(source: str) -> None:
    (wish,) = source_wishes(event(source=source))
    assert wish.source == source
    assert span_of(event(source=source), wish) == (NOW_MS - 2 * HOUR, NOW_MS - HOUR // 6 + 5_000)


def test_of_two_trackers_that_carry_out_a_wish_what_the_one_says_that_came_further_counts() -> None:
    given = {"source": "x", "opened": NOW_MS, "since": NOW_MS - HOUR, "until": NOW_MS - HOUR, "origin": "search"}
    (version,) = (wish.version for wish in source_wishes(event()))

    def told(posts: int, **more: Any) -> Interval:
        return Interval(connection=f"w{posts}", posts=posts, wish=Wish(code="flood", version=version, **more), **given)

    for less, further in (
        (told(3), told(2, state="done")),
        (told(3, query=1), told(4)),
        (told(3, query=1, reached=9), told(3, query=2)),
        (told(3, reached=8), told(3, reached=9)),
    ):
        for both in ([less, further], [further, less]):
            assert entry_of(both, "flood", source_wishes(event())[0]) == further
        assert outdates(further, less)
        assert not outdates(less, further)
    assert not outdates(told(3), told(3, state="waiting", why="budget")), "the same place, and a newer word of it"


def test_an_entry_of_a_wish_is_read_as_it_was_written() -> None:
    one = wished(0, 1, wish=Wish(code="flood", version=2, state="waiting", why="so", query=1, page="p", asked=5))
    assert entry(msgspec.json.encode(one)) == one


# ---- whose its posts are


async def test_posts_of_a_wish_are_given_to_its_event_alone() -> None:
    known = KnownEvents(Settings())
    known.view.items = {code: msgspec.structs.replace(event(), code=code) for code in ("flood", "beside")}
    headers = {"source": b"bluesky", "origin": b"rematch", "event": b"flood", "received_at": str(NOW_MS).encode()}
    record = raw_record("raw", 0, 0, b"", headers, NOW_MS)
    plain = RawRecord("raw", 0, 1, b"", NOW_MS)
    matcher = await known.matcher_for([record, plain])

    def codes(one: Matcher) -> set[str]:
        return set(one.codes)

    assert codes(matcher(record)) == {"flood"}
    assert codes(matcher(plain)) == {"flood", "beside"}
