"""Who is there, and who has which version of an event in force."""

from __future__ import annotations

import msgspec
import pytest

from app.domain.coverage import SourceStatus
from app.domain.events import Event
from app.domain.presence import (
    FORGOTTEN_MS,
    SILENT_MS,
    Holding,
    Process,
    Versions,
    entry,
    forgotten,
    holdings,
    name_of,
    processes,
)

NOW = 1_800_000_000_000
FLOOD = Event(code="flood", name="Flood", keywords=("flood",), status="active", version=4)


def process(name: str, role: str = "worker", ago: int = 0, since: int = 0) -> Process:
    return Process(id=name, role=role, holder=f"{name}:1", release="1", since=since, at=NOW - ago)


def versions(name: str, ago: int = 0, **events: int) -> Versions:
    return Versions(process=name, at=NOW - ago, events=events)


def source(state: str, ago: int = 0, **events: int) -> SourceStatus:
    return SourceStatus(source="x", state=state, words="", since=NOW, at=NOW - ago, events=events)  # type: ignore[arg-type]


@pytest.mark.parametrize("one", [process("a"), versions("a", flood=4)])
def test_entries_come_back_as_they_were_told(one: Process | Versions) -> None:
    assert entry(msgspec.json.encode(one)) == one


def test_a_thousand_versions_are_small() -> None:
    told = Versions(
        process="a" * 12, at=NOW, events={f"{number}-a-name-of-an-event-as-people-write": 3 for number in range(1000)}
    )
    assert len(msgspec.json.encode(told)) < 60_000


def test_of_processes_those_are_shown_that_told_of_themselves_lately() -> None:
    silent = process("b", ago=SILENT_MS + 1)
    found = processes([process("c", since=2), silent, process("d", ago=FORGOTTEN_MS), process("m", "manager")], NOW)
    assert [one.id for one in found] == ["m", "b", "c"]
    assert [one.silent(NOW) for one in found] == [False, True, False]
    assert [name_of(one, found) for one in found] == ["manager", "worker 1", "worker 2"]


def test_what_killed_processes_have_left_is_forgotten_some_time_later() -> None:
    entries = [
        process("alive"),
        versions("alive", ago=10 * FORGOTTEN_MS),
        process("killed", ago=FORGOTTEN_MS),
        versions("killed", ago=FORGOTTEN_MS + 1),
        versions("begun"),  # its own record is on its way
    ]
    assert forgotten(entries, NOW) == ["killed", "killed|versions"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (source("listening", flood=4), [Holding("x", "source", 4, False)]),
        (source("quiet", flood=3), [Holding("x", "source", 3, True)]),
        (source("listening"), [Holding("x", "source", None, True)]),
        (source("waiting", flood=3), []),
        (source("listening", ago=60_000, flood=3), []),
    ],
)
def test_the_version_at_a_source_is_told_while_it_is_listened_to(status: SourceStatus, expected: list[Holding]) -> None:
    assert holdings(FLOOD, [], [status], NOW) == expected


def test_an_event_that_does_not_collect_lags_where_it_is_asked_for_still() -> None:
    paused = msgspec.structs.replace(FLOOD, status="paused")
    for version, lags in ((None, False), (4, True)):
        status = source("listening", **({} if version is None else {"flood": version}))
        assert holdings(paused, [], [status], NOW) == [Holding("x", "source", version, lags)]


def test_each_process_says_which_version_it_has_and_the_older_ones_lag() -> None:
    entries = [
        process("a", since=1),
        versions("a", flood=4),
        process("b", since=2),
        versions("b", flood=3, other=9),
        process("c", since=3),
        process("gone", since=4, ago=SILENT_MS + 1),
        versions("gone", flood=1),
    ]
    assert holdings(FLOOD, entries, [], NOW) == [
        Holding("a:1", "worker", 4, False),
        Holding("b:1", "worker", 3, True),
        Holding("c:1", "worker", None, True),
    ]
