"""What was heard of an event: active time from its history, intervals from the ledger, gaps from both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.domain.coverage import Gap, InForce, Interval, Withheld, active_spans, coverage, entry, reads_in, unheard
from app.domain.decisions import Command, decide
from app.domain.events import Definition, Event

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
    assert heard.gaps == [Gap(T0 + 1_000_000, T0 + 1_030_000, "dead socket")]
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
    assert heard.gaps == [Gap(T0 + 500_000, T0 + 600_000, "the source was not asked for it")]


def test_the_moments_until_a_new_event_is_heard_are_no_gap_but_minutes_are() -> None:
    (heard,) = coverage(event(), [interval(4_000, HOUR, None)], T0 + HOUR)
    assert heard.gaps == []
    (heard,) = coverage(event(), [interval(60_000, HOUR, None)], T0 + HOUR)
    assert heard.gaps == [Gap(T0, T0 + 60_000, "not connected yet")]


def test_a_gap_that_goes_on_says_so() -> None:
    (heard,) = coverage(event(), [interval(0, 1_000_000, None)], T0 + HOUR)
    (gap,) = heard.gaps
    assert gap.goes_on
    assert "died" in gap.why


def test_time_in_which_the_event_was_paused_is_no_gap() -> None:
    paused = event(("pause", 1_000_000), ("resume", 2_000_000))
    (heard,) = coverage(paused, [interval(0, 1_000_000), interval(2_000_500, HOUR, None)], T0 + HOUR)
    assert heard.gaps == []
    assert heard.active == HOUR - 1_000_000


def test_a_part_of_the_time_can_be_asked_for() -> None:
    before, after = interval(0, 1_000_000), interval(1_030_000, HOUR, None)
    (heard,) = coverage(event(), [before, after], T0 + HOUR, (T0 + 1_020_000, T0 + 2_020_000))
    assert heard.active == 1_000_000
    assert heard.gaps == [Gap(T0 + 1_020_000, T0 + 1_030_000, "cut")]


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
    one = interval(0, HOUR, withheld=[Withheld(T0, 3)], cursor=5)
    assert entry(msgspec.json.encode(one)) == one


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
    (found,) = coverage(event(), [before, one], T0 + 2 * HOUR)
    (gap,) = found.gaps
    assert (gap.since, gap.why) == (T0 + HOUR, "the source has not delivered it yet")
