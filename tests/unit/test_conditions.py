"""What lasts and should not, as the ledger shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.conditions import Condition, gaps, letters, over, refusals
from app.domain.coverage import IDLE, InForce, Interval, Outage, SourceStatus
from app.domain.events import Change, Event
from app.domain.heard import to_ms
from app.domain.notices import Notice
from app.domain.reasons import DIED, NOT_ASKED, NOT_YET

DAY = datetime(2026, 5, 1, tzinfo=UTC)
T0 = to_ms(DAY)
NOW = 1000  # seconds after it


def event(code: str = "flood", since: int = 0, status: Any = "active") -> Event:
    at = datetime.fromtimestamp(T0 / 1000 + since, UTC)
    return Event(code=code, name=code, status=status, history=(Change(version=1, at=at, who="ana", action="create"),))


def interval(
    since: int, until: int, ended: str | None = None, codes: tuple[str, ...] = ("flood",), **rest: Any
) -> Interval:
    events = [InForce(code, 1, T0 + since * 1000) for code in codes]
    given = {"source": "x", "connection": f"c{since}", "events": events} | rest
    return Interval(opened=T0 + since * 1000, since=T0 + since * 1000, until=T0 + until * 1000, ended=ended, **given)


def outage(since: int, until: int, why: str, ended: str | None = None) -> Outage:
    return Outage(source="x", since=T0 + since * 1000, until=T0 + until * 1000, why=why, ended=ended)


def status(state: Any = "listening", source: str = "x", **rest: Any) -> SourceStatus:
    return SourceStatus(source=source, state=state, words="", since=T0, at=T0 + NOW * 1000, **rest)


def found(events: list[Event], *entries: Any) -> list[tuple[str, int, str]]:
    """Key, second of its beginning and title of each gap."""
    return [(one.key, (one.since - T0) // 1000, one.title) for one in gaps(events, entries, T0 + NOW * 1000, 0)]


def test_a_connection_with_signs_of_life_is_no_gap_however_quiet() -> None:
    assert found([event()], status("quiet"), interval(0, NOW - 1)) == []
    assert found([event()], status("blind"), interval(0, NOW - 29)) == []


def test_one_without_a_sign_for_half_a_minute_is_a_gap_since_its_last() -> None:
    assert found([event()], status(), interval(0, NOW - 31)) == [("gap|x", NOW - 31, f"x is not heard: {DIED}")]


def test_a_connection_that_ended_is_a_gap_with_the_reason_of_now() -> None:
    entries = (status("waiting"), interval(0, 900, "X has ended it"), outage(905, NOW - 1, "X answers 503"))
    assert found([event()], *entries) == [("gap|x", 900, "x is not heard: X answers 503")]


def test_a_gap_is_one_however_many_events_it_concerns() -> None:
    many = [event(f"e{number:03}") for number in range(60)] + [event("young", 950)]
    asked = tuple(one.code for one in many)
    (gap,) = gaps(many, [status(), interval(0, 900, "cut", asked)], T0 + NOW * 1000, 7)
    assert (gap.key, gap.since, gap.patience) == ("gap|x", T0 + 900_000, 7)
    assert len(gap.events) == 50
    assert gap.text.startswith("61 active events: e000, e001, ")
    assert gap.text.endswith(" and 11 more")


def test_nobody_waits_where_no_event_is_active_or_the_source_was_left() -> None:
    ended = interval(0, 900, IDLE)
    assert found([event(status="paused")], status("idle"), ended) == []
    assert found([event()], status("left"), ended) == []
    assert found([], status("idle"), ended) == []


def test_a_gap_begins_with_the_event_that_waits_first() -> None:
    assert found([event(since=950)], status(), interval(0, 900, IDLE)) == [("gap|x", 950, f"x is not heard: {NOT_YET}")]


def test_a_source_that_never_connected_is_a_gap_with_its_reason() -> None:
    told = found([event(since=10)], status("refused"), outage(11, NOW, "X refuses the token"))
    assert told == [("gap|x", 10, "x is not heard: X refuses the token")]


def test_a_source_that_delivers_its_past_is_heard() -> None:
    assert found([event()], status(), interval(0, NOW - 5, behind=True)) == []


def test_each_source_has_its_gaps() -> None:
    other = Interval(
        source="bluesky",
        connection="b",
        opened=T0,
        since=T0,
        until=T0 + (NOW - 1) * 1000,
        events=[InForce("flood", 1, T0)],
    )
    entries = (status(), status(source="bluesky"), interval(0, 900, "cut"), other)
    assert [key for key, *_ in found([event()], *entries)] == ["gap|x"]


def test_an_event_that_the_source_was_not_asked_for_is_its_own_gap() -> None:
    events = [event(), event("fire", since=300)]
    assert found(events, status(), interval(0, NOW - 1)) == [
        ("gap|x|fire", 300, f"fire is not heard by x: {NOT_ASKED}")
    ]
    refused = status(refused={"fire": ("no room",)})
    assert found(events, refused, interval(0, NOW - 1)) == [], "that is told as refused"


def test_it_stays_one_while_the_source_is_away_but_what_came_later_is_the_sources_gap() -> None:
    events = [event(), event("fire", since=300), event("young", since=950)]
    assert [key for key, *_ in found(events, status(), interval(0, 900, "cut"))] == ["gap|x", "gap|x|fire"]


def test_what_is_refused_is_told_by_its_words() -> None:
    refused = {"flood": ("a: too long", "b: no room"), "gone": ("c: wrong",)}
    (first,) = refusals([event(), event("gone", status="stopped")], [status(refused=refused)], T0)
    assert (first.kind, first.events, first.text) == ("refused", ("flood",), "a: too long\nb: no room")
    (again,) = refusals([event()], [status(refused={"flood": ("b: no room", "a: too long")})], T0)
    (other,) = refusals([event()], [status(refused={"flood": ("b: no room",)})], T0)
    assert again.key == first.key != other.key


@pytest.mark.parametrize(
    ("count", "standing", "told"), [(60, False, False), (61, False, True), (31, True, True), (30, True, False)]
)
def test_dead_letters_are_too_many_until_they_are_half_as_many(count: int, standing: bool, told: bool) -> None:
    found = list(letters(count, 60, [("no JSON", 61)], T0, standing))
    assert [one.text for one in found] == (["61 of the newest: no JSON"] if told else [])


def begun(condition: Condition) -> Notice:
    return Notice(
        id="n",
        kind=condition.kind,
        phase="begun",
        at=T0,
        since=condition.since,
        title="",
        source="x",
        events=condition.events,
        condition=condition.key,
    )


def test_the_end_of_a_gap_says_how_long_it_was_and_whether_anything_was_lost() -> None:
    cut = [status(), interval(0, 900, "cut")]
    (gap,) = gaps([event()], cut, T0 + 950_000, 0)
    until = T0 + 950_000
    lost = [*cut, interval(948, NOW)]
    assert over(begun(gap), until, lost) == (
        "x is heard again, after 50 s",
        "`starling coverage` tells what each event has missed",
    )
    made_good = [*cut, interval(900, NOW)]
    assert over(begun(gap), until, made_good)[1].startswith("nothing was lost")
    assert over(begun(gap), until, cut) == ("x: nobody waits for it any more, after 50 s", "")


def test_the_end_of_what_one_event_missed_names_it() -> None:
    events = [event(), event("fire", since=300)]
    (gap,) = gaps(events, [status(), interval(0, NOW - 1)], T0 + NOW * 1000, 0)
    title, _ = over(begun(gap), T0 + 400_000, [interval(0, NOW)])
    assert title == "fire by x is heard again, after 100 s"


def test_the_end_of_a_refusal_is_no_news() -> None:
    (refused,) = refusals([event()], [status(refused={"flood": ("a",)})], T0)
    assert over(begun(refused), T0, []) == ("", "")
