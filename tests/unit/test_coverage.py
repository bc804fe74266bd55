"""What was heard of an event: active time from its history, intervals from the ledger, gaps from both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.domain.coverage import IDLE, InForce, Interval, Left, Outage, Refusal, SourceStatus, Withheld, entry, reads_in
from app.domain.decisions import Command, decide
from app.domain.events import Definition, Event
from app.domain.heard import Gap, active_spans, coverage, jointly, last_heard, unheard
from app.domain.reasons import DIED, Reason

DAY = datetime(2026, 5, 1, tzinfo=UTC)
T0 = int(DAY.timestamp() * 1000)
HOUR = 3_600_000


def at(ms: int) -> datetime:
    return DAY + timedelta(milliseconds=ms)


def command(action: Any, ms: int, **rest: Any) -> Command:
    return Command(id=f"{action}{ms}", action=action, code="flood", at=at(ms), who="a test", **rest)


def event(*commands: tuple[str, int], start: datetime | None = None, draft: bool = False) -> Event:
    """An event that was created at 0 and went through these actions."""
    definition = Definition(name="flood", keywords=("flood",), **({"start": start} if start else {}))
    made = decide(command("create", 0, definition=definition, draft=draft), None)
    for action, ms in commands:
        made = decide(command(action, ms), made)
    return made


def interval(since: int, until: int, ended: str | None = "cut", **rest: Any) -> Interval:
    given = {"source": "x", "connection": f"c{since}", "events": [InForce("flood", 1, T0 + since)]} | rest
    return Interval(opened=T0 + since, since=T0 + since, until=T0 + until, ended=ended, **given)


def outage(since: int, until: int, why: str, ended: str | None = "connected", **rest: Any) -> Outage:
    return Outage(source="x", since=T0 + since, until=T0 + until, why=why, ended=ended, **rest)


def gap(*told: Any, goes_on: bool = False) -> Gap:
    """A gap from its reasons, each as its start and its words in turn, and at last its end."""
    starts, whys = told[0::2], told[1::2]
    ends = starts[1:]
    reasons = [Reason(T0 + start, T0 + end, why) for start, end, why in zip(starts, ends, whys, strict=False)]
    return Gap(T0 + starts[0], T0 + starts[-1], tuple(reasons), goes_on)


def test_an_event_is_active_between_its_changes_of_status() -> None:
    made = event(("pause", 10), ("resume", 20), ("stop", 50))
    assert active_spans(made, T0 + 100) == [(T0, T0 + 10), (T0 + 20, T0 + 50)]


def test_an_active_event_is_active_until_now() -> None:
    assert active_spans(event(), T0 + 100) == [(T0, T0 + 100)]


def test_a_scheduled_event_and_a_draft_are_active_from_their_start() -> None:
    assert active_spans(event(("start", 30), start=at(HOUR)), T0 + 100) == [(T0 + 30, T0 + 100)]
    assert active_spans(event(("start", 40), draft=True), T0 + 100) == [(T0 + 40, T0 + 100)]
    assert active_spans(event(draft=True), T0 + 100) == []


def test_all_of_it_heard() -> None:
    (heard,) = coverage(event(), [interval(0, HOUR, None)], T0 + HOUR)
    assert (heard.share, heard.gaps) == (1.0, [])


def test_a_gap_has_its_ends_and_the_reason_of_the_connection_before_it() -> None:
    before, after = interval(0, 1_000_000, "dead socket"), interval(1_030_000, HOUR, None)
    (heard,) = coverage(event(), [after, before], T0 + HOUR)
    assert heard.gaps == [gap(1_000_000, "dead socket", 1_030_000)]
    assert heard.share == 1 - 30_000 / HOUR


def test_what_a_connection_hears_of_the_past_fills_the_gap() -> None:
    later = interval(1_030_000, HOUR, None)
    later.since = T0 + 1_000_000
    later.events = [InForce("flood", 1, T0 + 1_000_000)]
    (heard,) = coverage(event(), [interval(0, 1_000_000), later], T0 + HOUR)
    assert heard.gaps == []


def test_no_moment_between_two_versions_of_an_event_is_a_gap() -> None:
    one = interval(0, HOUR, None, events=[InForce("flood", 1, T0, T0 + 500_000), InForce("flood", 2, T0 + 500_000)])
    (heard,) = coverage(event(), [one], T0 + HOUR)
    assert heard.gaps == []


def test_the_time_in_which_the_source_was_not_asked_for_the_event_is_a_gap() -> None:
    one = interval(0, HOUR, None, events=[InForce("flood", 1, T0, T0 + 500_000), InForce("flood", 1, T0 + 600_000)])
    (heard,) = coverage(event(), [one], T0 + HOUR)
    assert heard.gaps == [gap(500_000, "the source was not asked for it", 600_000)]


def test_the_moments_until_a_new_event_is_heard_are_no_gap_but_minutes_are() -> None:
    (heard,) = coverage(event(), [interval(4_000, HOUR, None)], T0 + HOUR)
    assert heard.gaps == []
    (heard,) = coverage(event(), [interval(60_000, HOUR, None)], T0 + HOUR)
    assert heard.gaps == [gap(0, "not connected yet", 60_000)]


def test_a_gap_that_goes_on_says_so() -> None:
    (heard,) = coverage(event(), [interval(0, 1_000_000, None)], T0 + HOUR)
    (found,) = heard.gaps
    assert found.goes_on
    assert "died" in found.why


def test_a_connection_is_a_gap_only_once_it_is_silent_for_longer_than_its_source_may_be() -> None:
    for silent_ms, gaps in ((30_000, 1), (95_000, 0)):
        one = interval(0, HOUR - 60_000, None, silent_ms=silent_ms)
        (heard,) = coverage(event(), [one], T0 + HOUR)
        assert len(heard.gaps) == gaps
        assert heard.active == HOUR - (0 if gaps else 60_000)


def test_time_in_which_the_event_was_paused_is_no_gap() -> None:
    paused = event(("pause", 1_000_000), ("resume", 2_000_000))
    (heard,) = coverage(paused, [interval(0, 1_000_000), interval(2_000_500, HOUR, None)], T0 + HOUR)
    assert heard.gaps == []
    assert heard.active == HOUR - 1_000_000


def test_a_part_of_the_time_can_be_asked_for() -> None:
    before, after = interval(0, 1_000_000), interval(1_030_000, HOUR, None)
    (heard,) = coverage(event(), [before, after], T0 + HOUR, (T0 + 1_020_000, T0 + 2_020_000))
    assert heard.active == 1_000_000
    assert heard.gaps == [gap(1_020_000, "cut", 1_030_000)]


def test_sources_are_told_apart() -> None:
    found = coverage(event(), [interval(0, HOUR), interval(0, HOUR // 2, source="bluesky")], T0 + HOUR)
    assert [(heard.source, heard.share) for heard in found] == [("bluesky", 0.5), ("x", 1.0)]


def test_withheld_posts_are_those_of_the_active_time() -> None:
    one = interval(0, HOUR, None, withheld=[Withheld(T0 + 5, 7), Withheld(T0 + 500, 5)])
    (heard,) = coverage(event(("pause", 100)), [one], T0 + HOUR)
    assert heard.withheld == 7


def test_posts_are_the_events_own_where_the_source_says_whose_they_are() -> None:
    (heard,) = coverage(event(), [interval(0, HOUR, None, posts=100, tagged={"flood": 30, "storm": 70})], T0 + HOUR)
    assert (heard.posts, heard.exact) == (30, True)
    (heard,) = coverage(event(), [interval(0, HOUR, None, posts=100)], T0 + HOUR)
    assert (heard.posts, heard.exact) == (100, False)


def test_an_event_that_no_source_could_hear_has_no_coverage() -> None:
    assert coverage(event(), [], T0 + HOUR) == []
    assert coverage(event(), [interval(-2 * HOUR, -HOUR)], T0 + HOUR) == []


def test_reads_are_counted_by_month() -> None:
    one = interval(0, HOUR, reads={"2026-05": 10, "2026-06": 3})
    assert reads_in("2026-05", [one, interval(5, HOUR, reads={"2026-05": 1})], "x") == 11
    assert reads_in("2026-05", [one], "bluesky") == 0


def test_an_entry_is_read_as_what_it_was_written_as() -> None:
    for one in (
        interval(0, HOUR, withheld=[Withheld(T0, 3)], cursor=5, refused=[Refusal("flood", T0, ("a: why",))]),
        outage(0, 5, "cut"),
        Left(source="x", since=T0, holder="a"),
        SourceStatus(source="x", state="left", words="", since=0, at=0),
    ):
        assert entry(msgspec.json.encode(one)) == one


def test_entries_of_earlier_versions_are_read() -> None:
    interval = b'{"type":"interval","source":"x","connection":"c","opened":1,"since":1,"until":2,"events":['
    read = entry(interval + b'{"code":"flood","version":1,"since":1,"until":null}]}')
    assert isinstance(read, Interval)
    assert (read.events, read.refused) == ([InForce("flood", 1, 1)], [])
    status = b'{"type":"status","source":"x","state":"idle","words":"w","since":1,"at":2,"refused":{"a":["b"]}}'
    assert isinstance(entry(status), SourceStatus)


DENIED = "X refuses the token (401)"


def test_a_gap_tells_each_reason_since_when() -> None:
    before, after = interval(0, 1_000_000, "X has ended it"), interval(2_000_000, HOUR, None)
    silent = [outage(1_000_200, 1_300_000, "unreachable", "goes on"), outage(1_300_000, 2_000_000, DENIED)]
    (heard,) = coverage(event(), [*silent, before, after], T0 + HOUR)
    assert heard.gaps == [gap(1_000_000, "X has ended it", 1_000_200, "unreachable", 1_300_000, DENIED, 2_000_000)]


def test_the_same_reason_twice_is_told_once() -> None:
    tries = [outage(1_000_100, 1_300_000, "cut", "goes on"), outage(1_300_000, 2_000_000, "cut")]
    (heard,) = coverage(event(), [interval(0, 1_000_000), interval(2_000_000, HOUR, None), *tries], T0 + HOUR)
    assert heard.gaps == [gap(1_000_000, "cut", 2_000_000)]


def test_a_source_that_never_connected_was_not_heard_at_all() -> None:
    lasting = outage(100, HOUR - 9_000, DENIED, None)
    (heard,) = coverage(event(), [lasting], T0 + HOUR)
    assert (heard.share, heard.gaps) == (0.0, [gap(0, DENIED, HOUR, goes_on=True)])
    assert heard.outages == [lasting]


def test_an_event_that_was_made_during_an_outage_has_the_outages_reason() -> None:
    (heard,) = coverage(event(), [outage(-HOUR, -4_000, DENIED, None)], T0 + 20_000)
    assert heard.gaps == [gap(0, DENIED, 20_000, goes_on=True)]
    assert coverage(event(), [outage(-2 * HOUR, -HOUR, DENIED)], T0 + HOUR) == []


def test_a_tracker_that_died_during_an_outage_is_told_too() -> None:
    silent = [outage(0, 1_000_000, DENIED, None), outage(1_200_000, 2_000_000, DENIED, "its tracker has stopped")]
    (heard,) = coverage(event(), silent, T0 + HOUR)
    (found,) = heard.gaps
    assert [(one.since - T0, one.why.split(",")[0]) for one in found.reasons] == [
        (0, DENIED),
        (1_000_000, "its tracker has died"),
        (1_200_000, DENIED),
        (2_000_000, "its tracker has stopped"),
    ]


def test_that_no_event_was_active_before_is_no_reason_for_a_gap() -> None:
    before = interval(-HOUR, -1000, IDLE)
    (heard,) = coverage(event(), [before, outage(20_000, HOUR, DENIED)], T0 + HOUR)
    assert heard.gaps == [gap(0, "not connected yet", 20_000, DENIED, HOUR, goes_on=True)]


XYZ = "xyz: X does not understand it"


def test_what_a_source_was_not_asked_for_is_told_with_its_time() -> None:
    first = interval(0, 1_000_000, refused=[Refusal("flood", T0 + 600_000, (XYZ,)), Refusal("storm", T0, ("a",))])
    second = interval(1_030_000, HOUR, None, refused=[Refusal("flood", T0 + 1_030_000, (XYZ,), T0 + 2_000_000)])
    (heard,) = coverage(event(), [first, second], T0 + HOUR)
    assert [(one.since - T0, one.until - T0, one.what, one.goes_on) for one in heard.without] == [
        (600_000, 2_000_000, XYZ, False)
    ]
    assert heard.partly == 400_000 + 970_000
    assert heard.share == 1 - 30_000 / HOUR


def test_what_a_source_is_not_asked_for_still_goes_on() -> None:
    one = interval(0, HOUR - 2000, None, refused=[Refusal("flood", T0, (XYZ, "-: no"))])
    (heard,) = coverage(event(), [one], T0 + HOUR)
    assert [(one.what, one.goes_on) for one in heard.without] == [("-: no", True), (XYZ, True)]
    assert (heard.share, heard.partly) == (1.0, HOUR - 2000)


def test_what_was_asked_for_in_between_parts_the_times_without_it() -> None:
    refused = [Refusal("flood", T0, (XYZ,), T0 + 1000), Refusal("flood", T0 + 60_000, (XYZ,))]
    (heard,) = coverage(event(), [interval(0, HOUR, refused=refused)], T0 + HOUR)
    assert [(one.since - T0, one.until - T0) for one in heard.without] == [(0, 1000), (60_000, HOUR)]


def test_a_gap_tells_why_the_source_was_not_asked_for_any_of_it() -> None:
    one = interval(0, HOUR, None, events=[], refused=[Refusal("flood", T0, (XYZ,))])
    (heard,) = coverage(event(), [one], T0 + HOUR)
    assert heard.gaps == [gap(0, f"the source was not asked for it ({XYZ})", HOUR, goes_on=True)]
    assert heard.without == []


def test_a_source_that_was_left_counts_until_then_and_again_from_when_it_is_back() -> None:
    entries = [interval(0, 1_000_000, None), Left(source="x", since=T0 + 1_030_000, holder="a")]
    (heard,) = coverage(event(), entries, T0 + HOUR)
    assert heard.active == 1_030_000
    assert [(one.since, one.goes_on) for one in heard.gaps] == [(T0 + 1_000_000, False)]
    assert heard.left == [entries[1]]
    entries[1] = Left(source="x", since=T0 + 1_030_000, holder="a", until=T0 + 2_000_000)
    (heard,) = coverage(event(), [*entries, interval(2_004_000, HOUR, None)], T0 + HOUR)
    assert heard.active == 1_030_000 + HOUR - 2_000_000
    assert [one.since for one in heard.gaps] == [T0 + 1_000_000]


def test_a_source_that_was_left_before_the_event_is_none_of_its_sources() -> None:
    left = Left(source="x", since=T0 - 10, holder="a")
    assert coverage(event(), [interval(-HOUR, -1000), left], T0 + HOUR) == []


def test_of_an_event_that_was_made_a_moment_ago_nothing_is_known_yet() -> None:
    (heard,) = coverage(event(), [interval(-HOUR, -500, None)], T0 + 1000)
    assert (heard.active, heard.gaps, heard.without) == (0, [], [])


def test_what_one_source_has_not_heard_another_may_have_heard() -> None:
    mine = [interval(0, 1_000_000), interval(1_500_000, HOUR, None)]
    other = interval(900_000, 1_400_000, source="bluesky")
    joint = jointly(event(), [*mine, other, Left(source="bluesky", since=T0 + 1_400_000, holder="a")], T0 + HOUR)
    assert joint.gaps == [(T0 + 1_400_000, T0 + 1_500_000)]
    assert (joint.active, joint.share) == (HOUR, 1 - 100_000 / HOUR)


def test_a_source_goes_on_from_the_last_that_has_a_cursor_whatever_the_order_of_entries() -> None:
    killed = interval(0, 100, None, cursor=7)
    behind = interval(100, 100, None, behind=True)
    searched = interval(200, 300, origin="search")
    assert last_heard([behind, killed, searched]) == last_heard([killed, searched, behind]) == killed
    later = interval(100, 200, None)
    assert last_heard([later, killed]) == later
    assert last_heard([searched]) is None


def test_what_no_connection_heard_and_no_search_found_is_left_to_be_filled() -> None:
    filled = interval(300, 400, origin="search")
    broken_off = interval(600, 700, origin="search", events=[])
    found = unheard(
        [interval(700, 800), interval(100, 300), interval(400, 500), interval(450, 600), filled, broken_off]
    )
    assert found == [(T0 + 600, T0 + 700)]
    assert unheard([]) == unheard([interval(0, 10)]) == []


def test_what_a_source_has_not_delivered_yet_is_said_so() -> None:
    before, one = interval(0, HOUR // 2), interval(HOUR // 2, HOUR, None, behind=True)
    one.opened = T0 + HOUR + 5000
    cut = outage(HOUR // 2, HOUR + 5000, "unreachable")
    for entries in ([before, one], [before, cut, one]):
        (found,) = coverage(event(), entries, T0 + 2 * HOUR)
        assert found.gaps == [gap(HOUR, "the source has not delivered it yet", 2 * HOUR, goes_on=True)]
    one.events, one.refused = [], [Refusal("flood", one.since, (XYZ,))]
    (found,) = coverage(event(), [before, cut, one], T0 + 2 * HOUR)
    assert found.gaps == [gap(HOUR // 2, f"the source was not asked for it ({XYZ})", 2 * HOUR, goes_on=True)]


def test_what_a_source_has_not_delivered_before_its_connection_ended_has_the_reason_of_that_end() -> None:
    before, after = interval(0, HOUR // 2), interval(HOUR + 60_000, 2 * HOUR, None)
    tries = [outage(HOUR // 2, HOUR + 5000, "unreachable"), outage(HOUR + 30_000, HOUR + 60_000, "cut")]
    for ended, told in (("cut", ["unreachable", "cut"]), (None, ["unreachable", DIED, "cut"])):
        one = interval(HOUR // 2, HOUR, ended, behind=True)
        one.opened = T0 + HOUR + 5000
        (found,) = coverage(event(), [before, *tries, one, after], T0 + 2 * HOUR)
        (missed,) = found.gaps
        assert (missed.since, missed.until) == (T0 + HOUR, after.since)
        assert [reason.why for reason in missed.reasons] == told
        assert missed.reasons[1].since == one.opened
