"""The ledger of one source: what it writes, and when."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from app.domain.coverage import CONTINUED, Entry, Interval, Left, Outage, SourceStatus, as_of, entry
from app.domain.watchdog import Volumes
from app.sources.source import Opened, Resume, Selection
from app.tracking import ledger as ledgers
from app.tracking.leaving import changes
from app.tracking.ledger import Ledger
from app.tracking.outages import CHANGING, MOST
from app.tracking.parcel import Parcel
from tests.support.asleep import sleep

NOW = 1_800_000_000_000


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOW
        self.stepped = 0
        monkeypatch.setattr(ledgers, "now_ms", lambda: self.now)
        monkeypatch.setattr(ledgers, "boottime", lambda: (self.now - self.stepped) / 1000)

    def run(self, made: Ledger, seconds: int) -> None:
        """So much time passes in which the process runs."""
        for _ in range(seconds):
            self.now += 1000
            made.beat(None)

    def step(self, ms: int) -> None:
        """The clock of the wall is set."""
        self.now += ms
        self.stepped += ms


class Written:
    """What was put, newest of each key."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.count = 0

    def put(self, parcel: Parcel) -> None:
        assert parcel.key is not None
        self.count += 1
        self.entries[parcel.key.decode()] = entry(parcel.value)

    @property
    def intervals(self) -> list[Interval]:
        return sorted((one for one in self.entries.values() if isinstance(one, Interval)), key=lambda one: one.opened)

    @property
    def outages(self) -> list[Outage]:
        return sorted((one for one in self.entries.values() if isinstance(one, Outage)), key=lambda one: one.since)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def written() -> Written:
    return Written()


def opened(written: Written, *, versions: dict[str, int] | None = None, since: int | None = None) -> Ledger:
    made = Ledger("x", written.put, Volumes(), 25.0)
    made.open(Opened(since), Selection({"flood": 1} if versions is None else versions), 3)
    return made


def test_a_connection_is_written_down_when_it_opens(clock: Clock, written: Written) -> None:
    opened(written)
    (one,) = written.intervals
    assert (one.opened, one.since, one.until, one.ended, one.generation) == (NOW, NOW, NOW, None, 3)


def test_what_is_not_kept_yet_is_not_heard_yet(clock: Clock, written: Written) -> None:
    made = opened(written)
    clock.now += 3000
    made.heard(2, 0, clock.now)
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
    clock.run(made, 3)
    made.sign(clock.now)
    for seconds in (3.5, 10, 24, 60):
        clock.now += int(seconds * 1000)
        made.heard(5, 0, clock.now)
        made.sign(clock.now)
        made.beat(None)
        assert written.intervals[0].until == NOW + 3000
    made.leave(alive=True)
    made.close("ended", None)
    assert written.intervals[0].until == NOW + 3000


def test_a_connection_that_outlives_a_freeze_was_heard_all_along(clock: Clock, written: Written) -> None:
    made = opened(written)
    clock.now += 4500
    made.heard(5, 0, clock.now)
    clock.run(made, 4)
    made.heard(5, 0, clock.now)
    made.beat(None)
    assert written.intervals[0].until == NOW, "it may have lain in the socket"
    clock.run(made, 1)
    made.sign(clock.now)
    made.beat(None)
    assert written.intervals[0].until == clock.now


def test_what_comes_after_a_time_in_which_nothing_was_read_proves_nothing_yet(clock: Clock, written: Written) -> None:
    made = opened(written)
    clock.run(made, 1)
    made.held_up()
    made.heard(5, 0, clock.now)
    made.beat(None)
    assert written.intervals[0].until == NOW
    clock.run(made, 5)
    made.heard(5, 0, clock.now)
    made.beat(None)
    assert written.intervals[0].until == clock.now


def test_the_past_is_not_through_for_a_sign_of_life_that_lay_in_the_socket(clock: Clock, written: Written) -> None:
    made = opened(written, since=NOW - 60_000)
    made.kept(lines_of(made, 1, 5, NOW - 50_000))
    clock.now += 10_000
    made.sign(clock.now)
    made.beat(None)
    assert (written.intervals[0].until, written.intervals[0].behind) == (NOW - 50_000, True)


def test_a_freeze_is_no_minute_in_which_the_past_came(clock: Clock, written: Written) -> None:
    made = opened(written, since=NOW - 60_000)
    clock.now += 70_000
    made.beat(None)
    assert (written.intervals[0].until, written.intervals[0].behind) == (NOW - 60_000, True)


def test_one_line_that_lay_in_the_socket_while_the_machine_slept_proves_nothing_of_that_time(
    monkeypatch: pytest.MonkeyPatch, written: Written
) -> None:
    made = opened(written)
    assert made.interval is not None
    began = made.interval.opened
    sleep(monkeypatch, 3600)
    made.heard(1, 0, began + 3_600_000)
    made.beat(None)
    assert written.intervals[0].until == began


def test_a_clock_that_is_set_forward_ends_nothing(clock: Clock, written: Written) -> None:
    made = opened(written)
    clock.step(3_600_000)
    clock.now += 1000
    made.heard(5, 0, clock.now)
    made.beat(None)
    assert written.intervals[0].until == clock.now


def test_a_clock_that_was_ahead_for_a_moment_claims_nothing_of_the_time_to_come(clock: Clock, written: Written) -> None:
    made = opened(written)
    clock.step(3_600_000)
    clock.now += 1000
    made.sign(clock.now)
    made.beat(None)
    clock.step(-3_600_000)
    clock.now += 1000
    made.sign(clock.now)
    made.beat(None)
    assert written.intervals[0].until == NOW + 2000


def test_what_was_under_way_when_a_connection_broke_is_counted_when_it_is_kept(clock: Clock, written: Written) -> None:
    made = opened(written)
    assert made.interval is not None
    connection = made.interval.connection
    clock.run(made, 5)
    made.heard(2, 0, clock.now)
    made.passed(2, 7, None)
    made.close("cut", NOW + 1000)
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
    made.heard(count, 0, ledgers.now_ms())
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


def test_until_a_line_has_come_one_goes_on_from_where_the_connection_before_was(clock: Clock, written: Written) -> None:
    """Killed before the source has delivered its past, though it was taken for caught up."""
    resume = Resume(cursor=17, heard_ms=NOW - 60_000, server="here")
    for server, since, cursor in (("here", NOW - 60_000, 17), ("there", NOW - 60_000, None), ("here", None, None)):
        made = Ledger("x", written.put, Volumes(), 25.0)
        assert made.open(Opened(since, server=server), Selection(), 3, resume).cursor == cursor


def test_a_source_that_has_caught_up_is_heard_up_to_now(clock: Clock, written: Written) -> None:
    made = opened(written, since=NOW - 60_000)
    clock.now += 2000
    made.kept(lines_of(made, 1, 5, NOW + 1000))
    made.beat(None)
    (one,) = written.intervals
    assert (one.since, one.until, one.behind) == (NOW - 60_000, NOW + 2000, False)


def test_a_connection_that_ends_while_it_catches_up_leaves_the_rest_unheard(clock: Clock, written: Written) -> None:
    for left in (True, False):
        clock.now = NOW
        fresh = Written()
        made = opened(fresh, since=NOW - 60_000)
        clock.now += 2000
        under_way = lines_of(made, 1, 5, NOW - 50_000)
        if left:
            made.leave(alive=True)
        made.close("cut", clock.now)
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
    clock.run(made, 10)
    made.sign(clock.now)
    made.beat(NOW)
    assert written.intervals[0].behind
    made.kept(last)
    made.sign(clock.now)
    made.beat(None)
    assert (written.intervals[0].until, written.intervals[0].behind) == (NOW + 10_000, False)


def test_a_source_that_lives_and_brings_nothing_of_its_past_is_not_heard(clock: Clock, written: Written) -> None:
    made = Ledger("x", written.put, Volumes(), 25.0)
    made.open(Opened(NOW - 60_000, dated=True), Selection({"flood": 1}), 3)
    for _ in range(100):
        clock.run(made, 1)
        made.sign(clock.now)
    (one,) = written.intervals
    assert (one.since, one.until, one.behind) == (NOW - 60_000, NOW - 60_000, True)
    made.leave(alive=True)
    made.close("the source was asked anew", None)
    made.open(Opened(NOW - 20_000, dated=True), Selection({"flood": 1}), 3)
    made.kept(lines_of(made, 1, 5, clock.now))
    made.beat(None)
    first, second = written.intervals
    assert (first.since, first.until) == (NOW - 60_000, NOW - 60_000), "what the server no longer had is not claimed"
    assert (second.since, second.until, second.behind) == (NOW - 20_000, clock.now, False)


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
    made.close("left", None)
    assert written.intervals[0].cursor == 9


@pytest.mark.parametrize(("alive", "until"), [(True, NOW + 8000), (False, NOW + 1000)])
def test_a_connection_was_heard_until_it_was_left_and_not_until_all_of_it_was_kept(
    clock: Clock, written: Written, alive: bool, until: int
) -> None:
    made = opened(written)
    clock.run(made, 1)
    made.sign(clock.now)
    clock.run(made, 7)
    made.leave(alive=alive)
    clock.now += 250
    last = lines_of(made, 2)
    clock.now += 2000
    made.close("why", None)
    made.kept(last)
    made.beat(None)
    assert (written.intervals[0].until, written.intervals[0].posts) == (until, 2)


def test_a_connection_that_broke_was_heard_to_its_last_sign_of_life(clock: Clock, written: Written) -> None:
    made = opened(written)
    clock.run(made, 1)
    made.sign(clock.now)
    clock.run(made, 7)
    made.close("why", None)
    assert written.intervals[0].until == NOW + 1000


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
    assert made.interval is not None
    made.interval.cursor, made.interval.server = 7, "one.example:443"
    for version in range(2, 700):
        clock.now += 1000
        made.sign(clock.now)
        made.selected(Selection({"flood": version}))
        made.beat(None)
    first, second = written.intervals
    assert first.ended == CONTINUED
    assert first.until == second.since
    assert (second.cursor, second.server) == (7, "one.example:443")
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


@pytest.mark.parametrize(("silent", "alive"), [(25.0, False), (90.0, True)])
def test_a_sign_after_a_minute_is_one_where_the_source_may_be_silent_so_long(
    clock: Clock, written: Written, silent: float, alive: bool
) -> None:
    made = Ledger("x", written.put, Volumes(), silent)
    made.open(Opened(), Selection({"flood": 1}), 3)
    clock.run(made, 60)
    made.sign(clock.now)
    made.beat(None)
    (one,) = written.intervals
    assert one.until == (clock.now if alive else NOW), "else it should have been given up"
    assert one.silent_ms == int(silent * 1000) + 5000


DENIED = "X refuses the token (401)"


def test_a_time_without_a_connection_is_one_entry_for_all_tries_that_fail_alike(clock: Clock, written: Written) -> None:
    made = Ledger("x", written.put, Volumes(), 25.0)
    for _ in range(300):
        made.no_connection(DENIED, 3)
        clock.now += 10_000
        made.still()
    (one,) = written.outages
    assert (one.source, one.since, one.until, one.why) == ("x", NOW, NOW + 3_000_000, DENIED)
    assert (one.ended, one.generation) == (None, 3)


def test_another_reason_is_another_entry_and_a_connection_ends_it(clock: Clock, written: Written) -> None:
    made = Ledger("x", written.put, Volumes(), 25.0)
    made.no_connection("unreachable", 3)
    clock.now += 20_000
    made.no_connection(DENIED, 3)
    clock.now += 5_000
    made.open(Opened(), Selection({"flood": 1}), 3)
    clock.now += 10_000
    made.still()
    assert [(one.since, one.until, one.why, one.ended) for one in written.outages] == [
        (NOW, NOW + 20_000, "unreachable", CONTINUED),
        (NOW + 20_000, NOW + 25_000, DENIED, "connected"),
    ]
    assert written.intervals[0].opened == NOW + 25_000


def test_an_outage_ends_when_no_connection_is_needed_any_more(clock: Clock, written: Written) -> None:
    made = Ledger("x", written.put, Volumes(), 25.0)
    made.no_connection(DENIED, 3)
    clock.now += 5_000
    made.no_outage("no event is active")
    clock.now += 5_000
    made.still()
    assert [(one.until, one.ended) for one in written.outages] == [(NOW + 5_000, "no event is active")]


def test_a_server_that_fails_in_another_way_each_time_does_not_fill_the_ledger(clock: Clock, written: Written) -> None:
    made = Ledger("x", written.put, Volumes(), 25.0)
    for number in range(1000):
        made.no_connection(f"HTTP 50{number % 2}", 3)
        clock.now += 10_000
        made.still()
    assert len(written.outages) == MOST + 1
    assert (written.outages[-1].why, written.outages[-1].until) == (CHANGING, clock.now)
    assert [one.until for one in written.outages[:-1]] == [one.since for one in written.outages[1:]]
    made.open(Opened(), Selection({"flood": 1}), 3)
    clock.now += 10_000
    made.no_connection(DENIED, 3)
    assert written.outages[-1].why == DENIED, "after a connection each reason is told again"


def test_of_the_time_in_which_the_process_was_frozen_no_outage_is_known(clock: Clock, written: Written) -> None:
    made = Ledger("x", written.put, Volumes(), 25.0)
    for thawed in (made.still, lambda: made.no_outage("stopped"), lambda: made.no_connection(DENIED, 3)):
        written.entries.clear()
        made.no_connection(DENIED, 3)
        began = clock.now
        clock.now += 60_000
        thawed()
        assert written.outages[0].until == began
        made.no_outage("stopped")


def test_a_clock_that_is_set_forward_ends_no_outage(clock: Clock, written: Written) -> None:
    made = Ledger("x", written.put, Volumes(), 25.0)
    made.no_connection(DENIED, 3)
    clock.step(3_600_000)
    clock.now += 1000
    made.still()
    (one,) = written.outages
    assert one.until == clock.now


XYZ = "xyz: X does not understand it"


def test_what_a_source_refuses_stands_in_the_ledger_with_its_time(clock: Clock, written: Written) -> None:
    made = Ledger("x", written.put, Volumes(), 25.0)
    made.open(Opened(), Selection({"flood": 1}, {"flood": (XYZ,)}), 3)
    clock.now += 1000
    made.selected(Selection({"flood": 2}, {"flood": (XYZ,), "storm": ("a: no",)}))
    clock.now += 1000
    made.selected(Selection({"flood": 3}, {"storm": ("a: no", "b: no")}))
    made.beat(None)
    told = [(one.code, one.what, one.since, one.until) for one in written.intervals[0].refused]
    assert told == [
        ("flood", (XYZ,), NOW, NOW + 2000),
        ("storm", ("a: no",), NOW + 1000, NOW + 2000),
        ("storm", ("a: no", "b: no"), NOW + 2000, None),
    ]


def test_what_is_refused_goes_on_in_the_next_entry_and_does_not_grow_for_ever(clock: Clock, written: Written) -> None:
    made = opened(written)
    for version in range(2, 700):
        clock.now += 1000
        made.sign(clock.now)
        made.selected(Selection({"flood": 1}, {"flood": (f"{version}: no",)}))
        made.beat(None)
    assert len(written.intervals) > 2
    assert written.intervals[-1].refused[-1].what == ("699: no",)
    assert all(one.refused[0].since == one.opened for one in written.intervals[1:])
    assert max(len(one.refused) for one in written.intervals) < 250


def test_while_a_source_catches_up_its_entry_has_all_that_was_in_force_since_then(
    clock: Clock, written: Written
) -> None:
    made = opened(written, since=NOW - 60_000)
    for version in range(2, 700):
        clock.now += 10
        made.selected(Selection({"flood": version}))
        made.beat(None)
    (one,) = written.intervals
    assert (one.until, one.behind, len(one.events)) == (NOW - 60_000, True, 699)
    made.kept(lines_of(made, 1, 5, ledgers.now_ms()))
    made.beat(None)
    one, after = written.intervals
    assert (one.until, one.behind, one.ended) == (clock.now, False, CONTINUED)
    assert (after.opened, [event.version for event in after.events]) == (clock.now, [699])


def test_a_plan_that_refuses_thousands_of_keywords_is_told_in_a_few(clock: Clock, written: Written) -> None:
    made = Ledger("x", written.put, Volumes(), 25.0)
    refused = {f"event{code}": tuple(f"{number}: {'no' * 500}" for number in range(1000)) for code in range(10)}
    made.open(Opened(), Selection({}, refused), 3)
    (one,) = written.intervals
    assert [refusal.what[-1] for refusal in one.refused] == ["and 980 more"] * 10
    assert len(msgspec.json.encode(one)) < 60_000


def test_past_that_was_not_delivered_was_not_heard_without_something_either(clock: Clock, written: Written) -> None:
    made = Ledger("x", written.put, Volumes(), 25.0)
    made.open(Opened(NOW - 60_000), Selection({"flood": 1}, {"flood": (XYZ,)}), 3)
    clock.now += 2000
    made.close("cut", None)
    (one,) = written.intervals
    assert (one.refused[0].since, one.refused[0].until, one.until) == (NOW - 60_000, None, NOW - 60_000)


def test_of_the_past_an_event_is_claimed_since_the_source_was_asked_for_it_as_it_is(
    clock: Clock, written: Written
) -> None:
    made = Ledger("x", written.put, Volumes(), 25.0)
    asked = {"flood": NOW - 3_600_000, "storm": NOW - 10_000, "rain": NOW - 3_600_000, "fire": NOW - 5_000}
    selection = Selection({"flood": 1, "storm": 2, "rain": 1}, {"storm": (XYZ,), "fire": ("no room",)})
    added = {"flood": NOW - 3_700_000, "rain": NOW - 2_000}
    made.open(Opened(NOW - 60_000, added_ms=added), selection, 3, asked_since=asked)
    (one,) = written.intervals
    assert one.since == NOW - 60_000
    since = {one.code: one.since for one in one.events}
    assert since == {"flood": NOW - 60_000, "storm": NOW - 10_000, "rain": NOW - 2_000}
    assert {one.code: one.since for one in one.refused} == {"storm": NOW - 10_000, "fire": NOW - 5_000}
    clock.now += 1000
    made.close("cut", None)
    made.open(Opened(), selection, 3, asked_since=asked)
    again = written.intervals[1]
    assert {one.since for one in (*again.events, *again.refused)} == {clock.now}, "what it does not deliver"


def test_what_is_disproved_while_it_is_being_closed_is_not_claimed_once_it_is_kept(
    clock: Clock, written: Written
) -> None:
    made = opened(written, versions={"flood": 1, "storm": 1})
    clock.run(made, 9)
    last = lines_of(made, 2)
    made.close("cut", NOW + 1000)
    assert written.intervals[0].until == NOW + 1000, "what came later is on its way still"
    made.disprove({"flood"}, {"flood": ("lost",)}, NOW + 4000)
    made.kept(last)
    made.beat(None)
    (one,) = written.intervals
    assert one.until == NOW + 9000
    assert {one.code: one.until for one in one.events} == {"flood": NOW + 4000, "storm": None}
    assert [(one.code, one.since, one.until) for one in one.refused] == [("flood", NOW + 4000, None)]
    clock.run(made, 1)
    made.disprove({"storm"}, {}, NOW + 9000)
    assert one.events == written.intervals[0].events, "it was over before that"


def told(entries: dict[str, Entry], *sources: str) -> dict[str, Entry]:
    """What a tracker with these sources makes of the ledger when it takes over."""
    return entries | dict(changes(entries.values(), sources, ledgers.now_ms()))


def test_a_source_that_the_settings_name_no_more_is_left_and_comes_back(clock: Clock, written: Written) -> None:
    made = opened(written)
    made.status.volumes.rates[3] = 5.0
    made.status.refused = {"flood": (XYZ,)}
    made.tell_status()
    assert told(written.entries, "x", "bluesky") == written.entries
    clock.now += 1000
    without = told(written.entries, "bluesky")
    left, status = without[f"x|{clock.now}|left"], without["x"]
    assert left == Left(source="x", since=NOW + 1000, holder=ledgers.HOLDER)
    assert isinstance(status, SourceStatus)
    assert (status.state, status.since, status.refused, status.volumes.rates) == ("left", clock.now, {}, {3: 5.0})
    assert "STARLING_SOURCES" in status.words
    clock.now += 1000
    assert told(without, "bluesky") == without
    again = told(without, "bluesky", "x")
    assert again[left.key] == Left(source="x", since=NOW + 1000, holder=ledgers.HOLDER, until=NOW + 2000)
    assert told(again, "bluesky", "x") == again


def test_a_source_that_was_left_is_not_waited_for() -> None:
    status = SourceStatus(source="x", state="left", words="w", since=NOW, at=NOW)
    assert as_of(status, NOW + 3_600_000) == status


def test_reads_are_counted_by_month_and_doubles_are_paid_for_too(clock: Clock, written: Written) -> None:
    made = opened(written)
    made.heard(10, 4, NOW)
    made.beat(None)
    (one,) = written.intervals
    assert (one.duplicates, list(one.reads.values())) == (4, [10])


def test_posts_of_an_event_are_counted_once_they_are_kept(clock: Clock, written: Written) -> None:
    made = opened(written)
    made.heard(3, 0, clock.now)
    made.passed(3, None, None)
    assert made.interval is not None
    assert (made.interval.posts, made.interval.tagged) == (0, {}), "a kill would lose them"
    connection = made.interval.connection
    for tagged in ({"flood": 2, "storm": 1}, {"flood": 1}):
        parcel = Parcel("raw_tweets", b"a", [], None, "x", NOW, 3, None, 3, connection, tagged=tagged)
        made.kept(parcel)
        made.kept(replace(parcel, source="bluesky"))
    assert (made.interval.posts, made.interval.tagged) == (6, {"flood": 3, "storm": 1})
