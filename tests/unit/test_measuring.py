"""What a manager shows of the whole on /metrics: what alerts follow from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import pytest
from prometheus_client import REGISTRY

from agents.provisioning import Provisioning
from app.clients.lags import Lags
from app.domain.coverage import InForce, Interval, SourceStatus
from app.domain.events import Change, Event
from app.domain.heard import to_ms
from app.domain.lag import Lag
from app.domain.presence import SILENT_MS, Process
from app.domain.provisioning import Outcome, Wanted
from app.domain.reach import Reach
from app.settings import Settings
from app.web.measuring import show_events, show_lags, show_reach
from tables.manager_views import ManagerViews

BEGAN = datetime(2026, 5, 1, tzinfo=UTC)
NOW = to_ms(BEGAN) + 1_000_000


def figures(name: str) -> dict[tuple[str, ...], float]:
    """What is shown under a name, by the values of its labels in their order."""
    every = [sample for metric in REGISTRY.collect() if metric.name == name for sample in metric.samples]
    return {tuple(sample.labels.values()): sample.value for sample in every}


def event(code: str, status: str = "active") -> Event:
    made = Change(version=1, at=BEGAN, who="ana", action="create")
    return Event(code=code, name=code, status=status, history=(made,))  # type: ignore[arg-type]


def tracker(name: str, *, lease: bool, ago: int = 0) -> Process:
    return Process(id=name, role="tracker", holder=name, release="1", since=0, at=NOW - ago, lease=lease)


def listening(*codes: str, until: int, state: str = "listening") -> list[Interval | SourceStatus]:
    """A connection to X that was heard until so many seconds ago."""
    since = to_ms(BEGAN)
    asked = [InForce(code, 1, since) for code in codes]
    told = SourceStatus(source="x", state=state, words="", since=since, at=NOW)  # type: ignore[arg-type]
    heard = Interval(source="x", connection="c", opened=since, since=since, until=NOW - until * 1000, events=asked)
    return [told, heard]


def test_each_role_has_one_figure_a_topic_and_one_that_is_gone_has_none() -> None:
    gone = Lag("all", "raw_tweets", 0, 0, 9, None, 9.0)
    show_lags([gone])
    show_lags(
        [
            Lag("worker", "raw_tweets", 0, 5, 10, "a", 2.0),
            Lag("worker", "raw_tweets", 1, 5, 12, "b", 7.5),
            Lag("indexer", "classified_tweets", 0, 3, 3, None),
        ]
    )
    assert figures("starling_lag_records") == {("worker", "raw_tweets"): 12, ("indexer", "classified_tweets"): 0}
    assert figures("starling_lag_seconds") == {("worker", "raw_tweets"): 7.5, ("indexer", "classified_tweets"): 0}
    show_lags(())
    assert figures("starling_lag_records") == {}, "nothing is known while Kafka is away"


def test_a_server_that_nobody_has_asked_yet_is_neither_up_nor_down() -> None:
    show_reach("sometime", Reach())
    assert ("sometime",) not in figures("starling_server_up")
    show_reach("sometime", Reach().asked(1, "refused"))
    assert figures("starling_server_up")["sometime",] == 0
    show_reach("sometime", Reach().asked(1))
    assert figures("starling_server_up")["sometime",] == 1


@pytest.mark.parametrize("state", ["listening", "quiet"])
def test_what_is_heard_is_no_gap_however_quiet(state: str) -> None:
    show_events([event("flood")], listening("flood", until=20, state=state), [], True, NOW)
    assert figures("starling_gap_seconds") == {}


def test_a_gap_is_the_source_s_or_that_of_an_event_that_was_not_asked_for() -> None:
    show_events([event("flood"), event("storm")], listening("flood", until=1), [], True, NOW)
    assert figures("starling_gap_seconds") == {("x", "storm"): 1000.0}
    show_events([event("flood")], listening("flood", until=90), [], True, NOW)
    assert figures("starling_gap_seconds") == {("x", ""): 90.0}
    show_events([event("flood", "paused")], listening("flood", until=90), [], True, NOW)
    assert figures("starling_gap_seconds") == {}, "nobody waits for it"


@pytest.mark.parametrize(
    ("status", "listens", "wanted"), [("active", True, 1), ("active", False, 0), ("stopped", True, 0)]
)
def test_a_tracker_is_wanted_where_an_event_collects_and_there_is_a_source(
    status: str, listens: bool, wanted: int
) -> None:
    show_events([event("flood", status)], [], [], listens, NOW)
    assert figures("starling_lease_wanted") == {(): wanted}
    assert figures("starling_events_collecting") == {(): status == "active"}


def outcome(role: str, *, running: bool | None) -> Outcome:
    return Outcome(name=role, role=role, wanted=Wanted(running=running, replicas=2, why=""))


def test_what_a_role_shall_have_at_least_stays_where_it_is_not_known() -> None:
    provisioning = Provisioning(Settings(), cast(ManagerViews, None), cast(Lags, None))
    provisioning.show(
        [outcome("worker", running=True), outcome("tracker", running=False), outcome("gone", running=True)]
    )
    assert figures("starling_replicas_least") == {("worker",): 2, ("tracker",): 0, ("gone",): 2}
    provisioning.show([outcome("worker", running=None), outcome("indexer", running=None)])
    assert figures("starling_replicas_least") == {("worker",): 2}
    provisioning.show([outcome("worker", running=False)])
    assert figures("starling_replicas_least") == {("worker",): 0}
    provisioning.rest()
    assert figures("starling_replicas_least") == {}, "another manager tells it"


def test_who_has_the_lease_counts_while_it_tells_of_itself() -> None:
    there = [tracker("a", lease=True), tracker("b", lease=False), tracker("c", lease=True, ago=SILENT_MS + 1)]
    show_events([], [], there, True, NOW)
    assert figures("starling_lease_holders") == {(): 1}
