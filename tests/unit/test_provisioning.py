"""What shall run in the cluster, by what the events and the lag ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.coverage import Entry
from app.domain.events import Event, Rematch
from app.domain.provisioning import AHEAD, Bounds, Demand, demand, wanted
from app.domain.rematch import Progress

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
BOUNDS = Bounds(least=1, most=4, most_hot=8, behind_seconds=30)
IDLE = Demand(unread={"worker": 0})


def asked(*events: Event, progress: dict[str, Progress] | None = None, ledger: tuple[Entry, ...] = ()) -> Demand:
    return demand(events, progress or {}, ledger, {"worker": 0}, {}, NOW)


def event(**fields: object) -> Event:
    return Event(**{"code": "flood", "name": "Flood", "keywords": ("flood",), "status": "active", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "collects"),
    [
        (event(), True),
        (event(status="paused"), False),
        (event(status="draft"), False),
        (event(status="stopped"), False),
        (event(status="scheduled", start=NOW + AHEAD), True),
        (event(status="scheduled", start=NOW + AHEAD + timedelta(seconds=1)), False),
        (event(status="scheduled", start=NOW - timedelta(hours=1)), True),
        (event(status="scheduled"), False),
    ],
)
def test_the_tracker_and_workers_are_there_when_an_event_collects_and_shortly_before(
    one: Event, collects: bool
) -> None:
    found = asked(one)
    assert wanted("tracker", found, BOUNDS).running is collects
    assert wanted("worker", found, BOUNDS).running is collects


def test_one_tracker_listens_and_one_stands_by() -> None:
    assert wanted("tracker", asked(event()), BOUNDS).replicas == 2


def test_a_source_that_is_asked_for_the_past_needs_a_tracker_though_no_event_collects() -> None:
    wish = Rematch(version=2, since=NOW - timedelta(hours=1), source="bluesky")
    found = asked(event(status="stopped", rematches=(wish,)))
    assert (found.collecting, found.asking) == (0, 1)
    assert wanted("tracker", found, BOUNDS).running is True
    assert asked(event(status="archived", rematches=(wish,))).asking == 0, "it hears nothing any more"


def test_an_event_that_hears_what_is_kept_needs_workers_and_no_tracker() -> None:
    wish = Rematch(version=2, since=NOW - timedelta(hours=1))
    found = asked(event(status="stopped", rematches=(wish,)))
    assert found.hearing == 1
    assert wanted("tracker", found, BOUNDS).running is False
    assert wanted("worker", found, BOUNDS).running is True


def test_workers_stay_until_everything_is_read() -> None:
    assert wanted("worker", Demand(unread={"classifier": 0, "normalizer": 1}), BOUNDS).running is True
    assert wanted("worker", IDLE, BOUNDS).running is False


def test_while_kafka_does_not_say_how_far_they_are_workers_are_left_as_they_are() -> None:
    found = wanted("worker", Demand(unread=None), BOUNDS)
    assert found.running is None
    assert found.why == "Kafka does not say how far the workers are"


@pytest.mark.parametrize(
    ("found", "most", "why"),
    [
        (Demand(collecting=2, unread={}), 4, "2 events collect"),
        (Demand(collecting=1, unread={}, hot=("flood",)), 8, "flood is marked hot"),
        (Demand(collecting=3, unread={}, hot=("a", "b", "c")), 8, "a and 2 more are marked hot"),
        (Demand(collecting=1, unread={}, behind={"worker": 31.0}), 8, "31 s behind"),
        (Demand(collecting=1, unread={}, behind={"worker": 30.0}), 4, "1 event collects"),
        (Demand(collecting=1, unread={}, behind={"normalizer": 31.0}), 4, "1 event collects"),
        (Demand(unread={"worker": 1200}), 4, "1,200 records wait"),
    ],
)
def test_a_hot_event_or_workers_that_lag_raise_the_bound(found: Demand, most: int, why: str) -> None:
    role = wanted("worker", found, BOUNDS)
    assert (role.least, role.most, role.why) == (1, most, why)


def test_a_hot_event_that_rests_raises_nothing() -> None:
    assert asked(event(hot=True)).hot == ("flood",)
    assert asked(event(hot=True, status="paused")).hot == ()


def test_who_indexes_stays_until_all_is_indexed_and_nobody_else_waits_for_it() -> None:
    found = demand([], {}, [], {"worker": 0}, {}, NOW, unindexed=7)
    assert (wanted("indexer", found, BOUNDS).running, wanted("indexer", found, BOUNDS).why) == (
        True,
        "7 records are not indexed",
    )
    assert wanted("worker", found, BOUNDS).running is False
    assert wanted("indexer", asked(), BOUNDS).running is False
