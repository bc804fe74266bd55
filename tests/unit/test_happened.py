"""What of an event's history, and of a month's reads, is news."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.coverage import Interval, SourceStatus
from app.domain.decisions import Command, decide
from app.domain.events import Definition, Event
from app.domain.happened import NEWS_MS, Limits, budgets, changes_of_state
from app.domain.heard import to_ms

DAY = datetime(2026, 11, 2, 12, tzinfo=UTC)
NOW = to_ms(DAY) + 3_600_000


def event(*steps: tuple[str, int], who: str = "ana", **rest: Any) -> Event:
    """An event that went through these commands, each with its second after noon."""
    made: Event | None = None
    for number, (action, second) in enumerate(steps):
        definition = {"definition": Definition(name="Flood", keywords=("flood",), **rest)} if action == "create" else {}
        if action == "draft":
            action, definition = "create", {"definition": Definition(name="Flood", keywords=("flood",)), "draft": True}  # noqa: PLW2901
        if action == "edit":
            definition = {"definition": Definition(keywords=(f"flood{number}",))}
        at = DAY + timedelta(seconds=second)
        made = decide(Command(id=str(number), action=action, code="flood", at=at, who=who, **definition), made)  # type: ignore[arg-type]
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ((("create", 0),), ["started:flood:1"]),
        ((("create", 0), ("edit", 1)), ["started:flood:1"]),
        ((("create", 0), ("pause", 1), ("resume", 2)), ["started:flood:1", "stopped:flood:2", "started:flood:3"]),
        ((("create", 0), ("pause", 1), ("stop", 2)), ["started:flood:1", "stopped:flood:2", "stopped:flood:3"]),
        ((("create", 0), ("stop", 1), ("archive", 2)), ["started:flood:1", "stopped:flood:2"]),
        ((("draft", 0),), []),
        ((("draft", 0), ("edit", 1), ("start", 2)), ["started:flood:3"]),
        ((("draft", 0), ("archive", 2)), []),
        ((("create", 0), ("stop", 1), ("delete", 2)), ["started:flood:1", "stopped:flood:2"]),
    ],
)
def test_each_start_and_each_end_is_told_with_an_id_that_follows_from_its_version(
    steps: tuple[tuple[str, int], ...], told: list[str]
) -> None:
    assert [notice.id for notice in changes_of_state([event(*steps)], 0, NOW)] == told


def test_a_scheduled_event_is_told_of_when_it_starts_and_stops_by_itself() -> None:
    scheduled = event(("create", 0), start=DAY + timedelta(hours=1))
    assert list(changes_of_state([scheduled], 0, NOW)) == []
    assert list(changes_of_state([decide(_command("stop", "ana"), scheduled)], 0, NOW)) == [], "it never collected"
    (started,) = changes_of_state([decide(_command("start", "starling", "its start has come"), scheduled)], 0, NOW)
    assert (started.kind, started.events) == ("started", ("flood",))
    assert started.title == "Flood (flood) collects"
    assert started.text == "by itself, at version 2: its start has come"


def test_who_did_it_is_told() -> None:
    (notice,) = changes_of_state([event(("create", 0))], 0, NOW)
    assert notice.text == "by ana, at version 1"
    assert notice.since == to_ms(DAY)


def test_what_happened_before_or_long_ago_is_no_news() -> None:
    made = event(("create", 0), ("stop", 10))
    assert [one.kind for one in changes_of_state([made], to_ms(DAY) + 5_000, NOW)] == ["stopped"]
    assert list(changes_of_state([made], 0, to_ms(DAY) + NEWS_MS + 60_000)) == []


def _command(action: Any, who: str, why: str = "") -> Command:
    return Command(id=action, action=action, code="flood", at=DAY + timedelta(seconds=9), who=who, why=why)


def _read(month: str, reads: int) -> Interval:
    return Interval(source="x", connection="c", opened=1, since=1, until=2, reads={month: reads})


def _status(state: Any, since: int) -> SourceStatus:
    return SourceStatus(source="x", state=state, words="", since=since, at=NOW)


@pytest.mark.parametrize(
    ("reads", "limits", "told"),
    [
        (10, Limits(None, None), []),
        (10, Limits(10, 20), []),
        (11, Limits(10, 20), ["budget:x:2026-11:soft"]),
        (20, Limits(10, 20), ["budget:x:2026-11:soft", "budget:x:2026-11:hard"]),
        (20, Limits(None, 20), ["budget:x:2026-11:hard"]),
        (0, Limits(None, 0), ["budget:x:2026-11:hard"]),
    ],
)
def test_a_budget_is_told_of_once_a_month_by_its_id(reads: int, limits: Limits, told: list[str]) -> None:
    intervals = [_read("2026-11", reads), _read("2026-10", 1000)]
    assert [one.id for one in budgets(intervals, [], {"x": limits}, "2026-11", NOW)] == told


def test_what_its_tracker_says_of_the_budget_counts_where_the_limits_are_its_own() -> None:
    limits = {"x": Limits(None, None)}
    (hard,) = budgets([], [_status("over budget", NOW - 1000)], limits, "2026-11", NOW)
    assert hard.id == "budget:x:2026-11:hard"
    last_month = to_ms(datetime(2026, 10, 31, tzinfo=UTC))
    assert list(budgets([], [_status("over budget", last_month)], limits, "2026-11", NOW)) == []
