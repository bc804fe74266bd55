"""What was heard of an event: active time from its history, intervals from the ledger, gaps from both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.domain.coverage import (
    HAD_LOST_IT,
    IDLE,
    LOST,
    InForce,
    Interval,
    Left,
    Outage,
    Refusal,
    SourceStatus,
    Wish,
    Withheld,
    entry,
    outdates,
    reads_in,
    without,
)
from app.domain.decisions import Command, decide
from app.domain.events import Definition, Event
from app.domain.heard import Gap, active_spans, coverage, jointly, last_heard, lost, unheard, unwanted
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


def test_what_was_lost_within_a_connection_is_left_to_be_filled_until_it_was_asked_for_again() -> None:
    refused = [
        Refusal("flood", T0 + 100, (HAD_LOST_IT,), T0 + 150),
        Refusal("flood", T0 + 150, ("what was changed last is not asked for yet: 503",), T0 + 300),
        Refusal("storm", T0 + 100, ("one rule of several is gone",)),
    ]
    asked = [(0, 100), (300, 400), (450, 500)]  # between the last two it was paused
    events = [*(InForce("flood", 1, T0 + since, T0 + end) for since, end in asked), InForce("storm", 1, T0)]
    once = interval(0, 500, events=events, refused=refused)
    damaged = without(interval(500, 900), T0 + 700, T0 + 800)
    to_its_end = interval(
        900,
        1000,
        events=[InForce("flood", 1, T0 + 900, T0 + 950)],
        refused=[Refusal("flood", T0 + 950, (HAD_LOST_IT,))],
    )
    never = interval(1000, 1100, events=[], refused=[Refusal("flood", T0 + 1000, (XYZ,))])
    entries = [once, damaged, to_its_end, never]
    assert lost(entries) == {"flood": [(T0 + 100, T0 + 300), (T0 + 700, T0 + 800), (T0 + 950, T0 + 1000)]}
    filled = interval(100, 300, origin="search"), interval(700, 800, origin="search")
    assert lost([*entries, *filled]) == {"flood": [(T0 + 950, T0 + 1000)]}
    broken_off = interval(950, 1000, origin="search", events=[], refused=[Refusal("storm", T0, (LOST,))])
    assert lost([*entries, *filled, broken_off]) == {"flood": [(T0 + 950, T0 + 1000)]}
    assert lost([interval(0, 10)]) == {}


def test_what_was_lost_and_is_made_good_was_heard_with_all_of_it() -> None:
    events = [InForce("flood", 1, T0, T0 + 60_000), InForce("flood", 1, T0 + 90_000)]
    refused = [Refusal("flood", T0 + 60_000, (HAD_LOST_IT,), T0 + 90_000)]
    one = interval(0, HOUR, events=events, refused=refused)
    (heard,) = coverage(event(), [one], T0 + HOUR)
    assert [one.why for one in heard.gaps] == [f"the source was not asked for it ({HAD_LOST_IT})"]
    (heard,) = coverage(event(), [one, interval(60_000, 90_000, origin="search")], T0 + HOUR)
    assert (heard.gaps, heard.without, heard.partly) == ([], [], 0)


def test_nobody_wanted_what_was_left_out_or_was_not_to_be_paid_for() -> None:
    over, network = outage(100, 300, "budget: 9 posts read, 9 are allowed"), outage(300, 400, "unreachable")
    left = Left(source="x", since=T0 + 600, holder="a", until=T0 + 700)
    other = Left(source="bluesky", since=T0 + 800, holder="a")
    assert unwanted([over, network, left, other], "x", T0 + HOUR) == [(T0 + 100, T0 + 300), (T0 + 600, T0 + 700)]


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


def test_what_came_of_the_past_when_posts_were_lost_is_not_known() -> None:
    """A connection that catches up has heard an old time at the moment at which the disk has lost what it heard."""
    behind = Interval(
        source="bluesky", connection="c", opened=5000, since=1000, until=2000, events=[InForce("flood", 1, 1000)]
    )
    assert without(behind, 6000, 7000).events == [InForce("flood", 1, 7000)]
    assert without(behind, 4000, 5000) == behind
    ahead = msgspec.structs.replace(behind, since=5000, until=5900, events=[InForce("flood", 1, 5000, 5500)])
    assert without(ahead, 6000, 7000) == ahead
    assert without(ahead, 4000, 5200).events == [InForce("flood", 1, 5200, 5500)]


def test_a_search_whose_posts_may_be_among_those_that_were_lost_claims_nothing() -> None:
    """It was begun before the last of them came, whatever time it asked for."""
    gap = Interval(
        source="x",
        connection="search-1",
        opened=5000,
        since=1000,
        until=2000,
        ended="filled from recent search",
        origin="search",
        events=[InForce("flood", 1, 1000)],
        refused=[Refusal("flood", 1000, (XYZ,))],
        posts=7,
    )
    damaged = without(gap, 5500, 6000)
    assert (damaged.events, damaged.refused, damaged.ended, damaged.posts) == ([], [], LOST, 7)
    around = interval(-T0, 1000 - T0), interval(2000 - T0, 3000 - T0)
    assert unheard([*around, damaged]) == [(1000, 2000)], "a tracker that takes over fills it again"
    assert without(gap, 4000, 5000) == gap
    part = msgspec.structs.replace(gap, events=[], until=1000, ended="recent search broke off")
    assert without(part, 5500, 6000) == part, "it claims nothing yet"


def test_a_wish_whose_posts_may_be_among_those_that_were_lost_says_so() -> None:
    done = Interval(
        source="bluesky",
        connection="wish-1",
        opened=5000,
        since=1000,
        until=2000,
        origin="search",
        events=[InForce("flood", 1, 1000)],
        wish=Wish(code="flood", version=3, state="done"),
    )
    damaged = without(done, 5500, 6000)
    assert (damaged.events, damaged.wish) == ([], Wish(code="flood", version=3, state="done", why=LOST))
    assert done.wish == Wish(code="flood", version=3, state="done"), "what the tracker holds stays as it is"


def test_what_was_told_of_a_source_that_was_left_gives_way_to_who_listens_to_it() -> None:
    left, status = (
        Left(source="x", since=5, holder="a"),
        SourceStatus(source="x", state="left", words="", since=5, at=5),
    )
    back = msgspec.structs.replace(left, until=9)
    listening = msgspec.structs.replace(status, state="listening", at=9)
    assert outdates(back, left)
    assert outdates(listening, left)
    assert outdates(listening, status)
    assert not outdates(left, back)
    assert not outdates(status, left)
    assert not outdates(status, listening)
    assert not outdates(listening, back)
    assert not outdates(msgspec.structs.replace(listening, at=4), left), "of the time before"


def test_what_only_one_tracker_tells_is_told() -> None:
    one = interval(0, 1000)
    assert not outdates(interval(0, 2000), one)
    assert not outdates(one, outage(0, 1, "away"))
