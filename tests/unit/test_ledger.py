"""The ledger of one source: what it writes, and when."""

from __future__ import annotations

import msgspec
import pytest

from app.domain.coverage import Interval, SourceStatus, entry
from app.domain.watchdog import Volumes
from app.sources.source import Opened, Selection
from app.tracking import ledger as ledgers
from app.tracking.ledger import CONTINUED, Ledger
from app.tracking.parcel import Parcel

NOW = 1_800_000_000_000


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOW
        self.stepped = 0
        monkeypatch.setattr(ledgers, "now_ms", lambda: self.now)
        monkeypatch.setattr(ledgers, "monotonic", lambda: (self.now - self.stepped) / 1000)

    def step(self, ms: int) -> None:
        """The clock of the wall is set."""
        self.now += ms
        self.stepped += ms


class Written:
    """What was put, newest of each key."""

    def __init__(self) -> None:
        self.entries: dict[str, Interval | SourceStatus] = {}
        self.count = 0

    def put(self, parcel: Parcel) -> None:
        assert parcel.key is not None
        self.count += 1
        self.entries[parcel.key.decode()] = entry(parcel.value)

    @property
    def intervals(self) -> list[Interval]:
        return sorted((one for one in self.entries.values() if isinstance(one, Interval)), key=lambda one: one.opened)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def written() -> Written:
    return Written()


def opened(written: Written, *, versions: dict[str, int] | None = None, since: int | None = None) -> Ledger:
    made = Ledger("x", written.put, Volumes())
    made.open(Opened(since), Selection({"flood": 1} if versions is None else versions), 3)
    return made


def test_a_connection_is_written_down_when_it_opens(clock: Clock, written: Written) -> None:
    opened(written)
    (one,) = written.intervals
    assert (one.opened, one.since, one.until, one.ended, one.generation) == (NOW, NOW, NOW, None, 3)


def test_what_is_not_kept_yet_is_not_heard_yet(clock: Clock, written: Written) -> None:
    made = opened(written)
    clock.now += 3000
    made.heard(2, 0, {}, clock.now)
    made.beat(NOW + 1000)
    assert written.intervals[0].until == NOW + 1000
    made.beat(None)
    assert written.intervals[0].until == NOW + 3000


def test_nothing_new_is_not_written_again(clock: Clock, written: Written) -> None:
    made = opened(written)
    made.beat(None)
    before = written.count
    made.beat(None)
    assert written.count == before


def test_a_frozen_process_proves_nothing_of_the_time_it_was_frozen(clock: Clock, written: Written) -> None:
    made = opened(written)
    clock.now += 60_000
    made.heard(5, 0, {}, clock.now)
    made.close("ended", None, broken=False)
    assert written.intervals[0].until == NOW


def test_a_clock_that_is_set_forward_ends_nothing(clock: Clock, written: Written) -> None:
    made = opened(written)
    clock.step(3_600_000)
    clock.now += 1000
    made.heard(5, 0, {}, clock.now)
    made.beat(None)
    assert written.intervals[0].until == clock.now


def test_what_was_under_way_when_a_connection_broke_is_counted_when_it_is_kept(clock: Clock, written: Written) -> None:
    made = opened(written)
    assert made.interval is not None
    connection = made.interval.connection
    clock.now += 5000
    made.heard(2, 0, {}, clock.now)
    made.passed(2, 7, None)
    made.close("cut", NOW + 1000, broken=True)
    assert (written.intervals[0].until, written.intervals[0].posts) == (NOW + 1000, 0)
    made.open(Opened(), Selection({"flood": 1}), 3)
    made.kept(Parcel("raw_tweets", b"a\nb", [], None, "x", NOW + 1000, 2, 7, 2, connection))
    made.beat(None)
    first, second = written.intervals
    assert (first.until, first.posts, first.ended, first.cursor) == (NOW + 5000, 2, "cut", 7)
    assert second.posts == 0


def lines_of(made: Ledger, count: int, cursor: int | None = None, seen: int | None = None) -> Parcel:
    """Lines come; they are kept once `Ledger.kept` is told of the parcel."""
    assert made.interval is not None
    made.heard(count, 0, {}, ledgers.now_ms())
    made.passed(count, cursor, seen)
    connection = made.interval.connection
    return Parcel("raw_tweets", b"a", [], None, "x", ledgers.now_ms(), count, cursor, count, connection, seen)


def test_a_source_that_delivers_its_past_is_heard_up_to_the_last_line_that_is_kept(
    clock: Clock, written: Written
) -> None:
    made = opened(written, since=NOW - 60_000)
    clock.now += 2000
    first = lines_of(made, 10, 5, NOW - 50_000)
    made.beat(NOW + 2000)
    assert (written.intervals[0].until, written.intervals[0].behind) == (NOW - 60_000, True)
    lines_of(made, 10, 9, NOW - 30_000)
    made.kept(first)
    made.beat(NOW + 2000)
    (one,) = written.intervals
    assert (one.since, one.until, one.cursor, one.behind) == (NOW - 60_000, NOW - 50_000, 5, True)


def test_a_source_that_has_caught_up_is_heard_up_to_now(clock: Clock, written: Written) -> None:
    made = opened(written, since=NOW - 60_000)
    clock.now += 2000
    made.kept(lines_of(made, 1, 5, NOW + 1000))
    made.beat(None)
    (one,) = written.intervals
    assert (one.since, one.until, one.behind) == (NOW - 60_000, NOW + 2000, False)


def test_a_connection_that_ends_while_it_catches_up_leaves_the_rest_unheard(clock: Clock, written: Written) -> None:
    for broken in (True, False):
        clock.now = NOW
        fresh = Written()
        made = opened(fresh, since=NOW - 60_000)
        clock.now += 2000
        under_way = lines_of(made, 1, 5, NOW - 50_000)
        made.close("cut", clock.now, broken=broken)
        assert (fresh.intervals[0].until, fresh.intervals[0].cursor) == (NOW - 60_000, None)
        made.kept(under_way)
        made.beat(None)
        assert (fresh.intervals[0].until, fresh.intervals[0].cursor) == (NOW - 50_000, 5)
        clock.now += 90_000
        made.beat(None)
        assert fresh.intervals[0].until == NOW - 50_000


def test_a_sign_of_life_after_a_pause_ends_the_past_once_all_is_kept(clock: Clock, written: Written) -> None:
    made = opened(written, since=NOW - 60_000)
    last = lines_of(made, 1, 5, NOW - 50_000)
    clock.now += 10_000
    made.sign(clock.now)
    made.beat(NOW)
    assert written.intervals[0].behind
    made.kept(last)
    made.sign(clock.now)
    made.beat(None)
    assert (written.intervals[0].until, written.intervals[0].behind) == (NOW + 10_000, False)


def test_where_lines_tell_no_time_the_past_counts_as_heard_after_a_minute(clock: Clock, written: Written) -> None:
    made = opened(written, since=NOW - 60_000)
    for _ in range(60):
        made.beat(None)
        assert (written.intervals[0].until, written.intervals[0].behind) == (NOW - 60_000, True)
        clock.now += 1000
        made.kept(lines_of(made, 1))
    made.beat(None)
    assert (written.intervals[0].until, written.intervals[0].behind) == (clock.now, False)


def test_what_was_left_out_moves_the_place_to_go_on_once_what_came_before_is_kept(
    clock: Clock, written: Written
) -> None:
    made = opened(written)
    first = lines_of(made, 3, 3)
    made.passed(0, 8, NOW)
    made.beat(None)
    assert written.intervals[0].cursor is None
    made.kept(first)
    assert made.interval is not None
    assert made.interval.cursor == 3
    made.beat(None)
    assert written.intervals[0].cursor == 8
    made.passed(0, 9, NOW)
    made.close("left", None, broken=False)
    assert written.intervals[0].cursor == 9


def test_a_connection_that_was_left_was_alive_to_the_last_and_a_broken_one_to_its_last_sign(
    clock: Clock, written: Written
) -> None:
    for broken, until in ((True, NOW), (False, NOW + 8000)):
        clock.now = NOW
        fresh = Written()
        made = opened(fresh)
        clock.now += 8000
        made.close("why", None, broken=broken)
        assert fresh.intervals[0].until == until


def test_versions_follow_each_other_without_a_gap(clock: Clock, written: Written) -> None:
    made = opened(written)
    clock.now += 1000
    made.selected(Selection({"flood": 2, "storm": 1}))
    clock.now += 1000
    made.selected(Selection({"storm": 1}))
    made.beat(None)
    told = [(one.code, one.version, one.since, one.until) for one in written.intervals[0].events]
    assert told == [
        ("flood", 1, NOW, NOW + 1000),
        ("flood", 2, NOW + 1000, NOW + 2000),
        ("storm", 1, NOW + 1000, None),
    ]


def test_an_entry_does_not_grow_for_ever(clock: Clock, written: Written) -> None:
    made = opened(written)
    for version in range(2, 700):
        clock.now += 1000
        made.sign(clock.now)
        made.selected(Selection({"flood": version}))
        made.beat(None)
    first, second = written.intervals
    assert first.ended == CONTINUED
    assert first.until == second.since
    assert len(second.events) < 300
    assert max(len(msgspec.json.encode(one)) for one in written.intervals) < 50_000


def test_a_status_keeps_the_moment_since_when_it_is_so(clock: Clock, written: Written) -> None:
    made = opened(written)
    made.say("listening", "5 posts a second")
    clock.now += 5000
    made.say("listening", "6 posts a second")
    made.tell_status()
    status = written.entries["x"]
    assert isinstance(status, SourceStatus)
    assert (status.since, status.at, status.words) == (NOW, NOW + 5000, "6 posts a second")


def test_reads_are_counted_by_month_and_doubles_are_paid_for_too(clock: Clock, written: Written) -> None:
    made = opened(written)
    made.heard(10, 4, {"flood": 6}, NOW)
    made.beat(None)
    (one,) = written.intervals
    assert (one.duplicates, one.tagged, list(one.reads.values())) == (4, {"flood": 6}, [10])
