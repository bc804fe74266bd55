"""The collection for an event in words: what is said in which state, and the worst first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.coverage import Entry, InForce, Interval, SourceStatus
from app.domain.diagnosis import LAGGING, Diagnosing, Facts, Finding, system
from app.domain.events import Change, Event
from app.domain.lag import Lag
from app.domain.presence import Process, Versions
from app.domain.reach import Reach

NOW = 1_800_000_000_000
FLOOD = Event(code="flood", name="Flood", keywords=("flood",), status="active", version=4)
UP = Reach(up=True, since=NOW - 600_000, at=NOW)


def process(name: str, role: str = "worker", ago: int = 0, **more: Any) -> Process:
    return Process(id=name, role=role, holder=f"{name}:1", release="1", since=int(name, 36), at=NOW - ago, **more)


def source(state: str, ago: int = 0, **more: Any) -> SourceStatus:
    given = {"words": f"it is {state}", "events": {"flood": 4}} | more
    return SourceStatus(source="x", state=state, since=NOW - 90_000, at=NOW - ago, **given)  # type: ignore[arg-type]


def interval(until: int) -> Interval:
    opened = NOW - 300_000
    return Interval(
        source="x", connection="c", opened=opened, since=opened, until=until, events=[InForce("flood", 4, opened)]
    )


WELL = (process("a"), Versions(process="a", at=NOW, events={"flood": 4}))


def facts(*ledger: Entry, **more: Any) -> Facts:
    given = {"presence": WELL, "lags": (), "kafka": UP, "cassandra": UP} | more
    return Facts(now=NOW, ledger=ledger, **given)


def diagnosis(event: Event, known: Facts, last_post: int | None = NOW - 12_000) -> list[Finding]:
    return Diagnosing(known).of(event, last_post)


def words(*findings: Finding) -> list[tuple[str, str]]:
    return [(one.level, one.words) for one in findings]


def test_all_is_well() -> None:
    assert words(*diagnosis(FLOOD, facts(source("listening")))) == [
        ("fine", "x: it is listening"),
        ("fine", "the last post came 12 s ago"),
    ]


@pytest.mark.parametrize("status", ["draft", "scheduled", "paused", "stopped", "archived", "deleted", "purging"])
def test_an_event_that_rests_says_only_that(status: str) -> None:
    event = Event(code="flood", name="Flood", status=status)  # type: ignore[arg-type]
    (found,) = diagnosis(event, facts(source("blind"), kafka=Reach(up=False)))
    assert found.level == "note"


@pytest.mark.parametrize(
    ("ledger", "told"),
    [
        (
            [source("quiet"), interval(NOW - 4_000)],
            ("fine", "x is quiet, last keep-alive 4 s ago: it is quiet"),
        ),
        ([source("blind")], ("problem", "x: it is blind")),
        ([source("refused")], ("problem", "x: it is refused")),
        ([source("waiting", ago=9_000)], ("problem", "x: it is waiting")),
        ([source("over budget")], ("problem", "x: it is over budget")),
        ([source("listening", ago=40_000)], ("problem", "the tracker is away: nobody has told of x for 40 s")),
        (
            [source("listening", refused={"flood": ("a: too long", "b: too long")})],
            ("warning", "x refused rules of this event: a: too long; b: too long"),
        ),
        (
            [source("listening", refused={"flood": tuple("abcdef")})],
            ("warning", "x refused rules of this event: a; b; c; and 3 more"),
        ),
        (
            [source("listening", events={"flood": 3})],
            ("warning", "x has version 3 in force; the event is at version 4"),
        ),
        ([source("listening", events={})], ("warning", "x does not know the event yet; the event is at version 4")),
        ([], ("note", "no live source has been listened to yet: posts come by replay alone")),
    ],
)
def test_what_is_said_of_a_source(ledger: list[Entry], told: tuple[str, str]) -> None:
    assert told in words(*diagnosis(FLOOD, facts(*ledger)))


def test_what_another_event_was_refused_is_not_said_here() -> None:
    found = diagnosis(FLOOD, facts(source("listening", refused={"storm": ("a",)})))
    assert {one.level for one in found} == {"fine"}


def test_a_source_that_was_left_by_intention_is_passed_over() -> None:
    assert system(facts(source("left", ago=90_000))) == []


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (
            {"kafka": Reach(up=False, since=NOW - 5_000, why="timeout")},
            ("problem", "Kafka has not answered for 5 s (timeout)"),
        ),
        (
            {"cassandra": Reach(up=False, since=NOW - 7_000)},
            ("problem", "Cassandra is away for 7 s: posts wait in Kafka, none is lost"),
        ),
        (
            {"presence": (process("a", waits=("Cassandra",)), WELL[1])},
            ("problem", "Cassandra is away (worker waits for it): posts wait in Kafka, none is lost"),
        ),
        (
            {"presence": (), "lags": (Lag("all", "raw_tweets", 0, 0, 1_200, None),)},
            ("problem", "no classifier is running: 1,200 records wait in Kafka"),
        ),
        (
            {"presence": (process("c", "classifier"),)},
            ("problem", "no normalizer is running: 0 records wait in Kafka"),
        ),
        (
            {"presence": (*WELL, process("b", ago=20_000))},
            ("warning", "worker b:1 has not told of itself for 20 s"),
        ),
        (
            {"lags": (Lag("worker", "raw_tweets", 2, 0, 5, None),)},
            ("warning", "nobody works on partition 2 of raw_tweets: 5 records wait"),
        ),
        (
            {"lags": (Lag("worker", "raw_tweets", 0, 0, 12_000, "a"), Lag("worker", "raw_tweets", 1, 0, 0, "a"))},
            ("warning", "worker lags: 12,000 records behind"),
        ),
        (
            {"presence": (*WELL, process("b"), Versions(process="b", at=NOW, events={"flood": 2}))},
            ("warning", "worker 2 has version 2 in force; the event is at version 4"),
        ),
    ],
)
def test_what_is_said_of_the_rest(more: dict[str, Any], told: tuple[str, str]) -> None:
    assert told in words(*diagnosis(FLOOD, facts(source("listening"), **more)))


def test_of_an_event_without_posts_it_says_so() -> None:
    assert ("note", "no post has come for it yet") in words(*diagnosis(FLOOD, facts(source("listening")), None))


def test_what_is_said_of_one_event_is_not_said_of_another_by_the_same_facts() -> None:
    storm = Event(code="storm", name="Storm", keywords=("storm",), status="active", version=1)
    behind = Versions(process="a", at=NOW, events={"flood": 4, "storm": 0})
    status = source("listening", refused={"storm": ("a",)}, events={"flood": 4, "storm": 1})
    known = Diagnosing(facts(status, presence=(process("a"), behind)))
    assert words(*known.of(storm, None)) == [
        ("warning", "x refused rules of this event: a"),
        ("warning", "worker has version 0 in force; the event is at version 1"),
        ("note", "no post has come for it yet"),
        ("fine", "x: it is listening"),
    ]
    assert {one.level for one in known.of(FLOOD, NOW)} == {"fine"}


def test_a_little_lag_is_none() -> None:
    lag = Lag("worker", "raw_tweets", 0, 0, LAGGING - 1, "a")
    assert {one.level for one in diagnosis(FLOOD, facts(source("listening"), lags=(lag,)))} == {"fine"}


def test_a_change_of_just_now_is_on_its_way() -> None:
    at = datetime.fromtimestamp(NOW / 1000, UTC) - timedelta(seconds=1)
    change = Change(version=4, at=at, who="ada", action="edit")
    event = Event(code="flood", name="Flood", keywords=("flood",), status="active", version=4, history=(change,))
    found = diagnosis(event, facts(source("listening", events={"flood": 3})))
    assert ("note", "x has version 3 in force; the event is at version 4") in words(*found)


def test_the_worst_comes_first() -> None:
    found = diagnosis(FLOOD, facts(source("listening", refused={"flood": ("a",)}), cassandra=Reach(up=False)))
    assert [one.level for one in found] == ["problem", "warning", "fine", "fine"]


def test_while_kafka_is_away_nothing_else_of_the_workers_is_said() -> None:
    found = system(facts(kafka=Reach(up=False, since=NOW), presence=()))
    assert [one.about for one in found] == ["kafka"]
