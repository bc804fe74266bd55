"""`starling coverage` and the sources of `starling status`: what people and scripts read of the ledger."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest

import cli
import cli.coverage
from app.domain.coverage import Entry, InForce, Interval, Left, Outage, Refusal, Withheld
from app.domain.decisions import Command, decide
from app.domain.events import Definition, Event
from app.domain.heard import Gap, coverage
from app.domain.heard_plain import WholeCoverage, plain, whole_coverage
from app.domain.reasons import Reason
from app.domain.spans import Span
from cli.coverage_views import gap_rows

MINUTE = 60_000
HOUR = 60 * MINUTE
NOW = 1_800_000_000_000
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")
DENIED = "X refuses the token (401)"
XYZ = "xyz: X does not understand it"


def flood(ended_ago: int | None = None, *, draft: bool = False) -> Event:
    """An event that was created an hour ago."""

    def command(action: Any, ago: int, **rest: Any) -> Command:
        at = datetime.fromtimestamp(NOW / 1000, UTC) - timedelta(milliseconds=ago)
        return Command(id=f"{action}{ago}", action=action, code="flood", at=at, who="a test", **rest)

    made = decide(command("create", HOUR, definition=Definition(name="flood", keywords=("flood",)), draft=draft), None)
    return made if ended_ago is None else decide(command("stop", ended_ago), made)


def interval(source: str, since_ago: int, until_ago: int, ended: str | None = None, **rest: Any) -> Interval:
    since, until = NOW - since_ago, NOW - until_ago
    rest = {"events": [InForce("flood", 1, since)]} | rest
    return Interval(source=source, connection="c", opened=since, since=since, until=until, ended=ended, **rest)


def outage(since_ago: int, until_ago: int, why: str, ended: str | None = None) -> Outage:
    return Outage(source="x", since=NOW - since_ago, until=NOW - until_ago, why=why, ended=ended)


class Clock(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Clock:
        return cls.fromtimestamp(NOW / 1000, tz)


class Ledger:
    """What is asked, with this ledger."""

    def __init__(self, event: Event, entries: Iterable[Entry]) -> None:
        self.event, self.entries = event, list(entries)

    async def coverage(self, _: str, span: Span | None) -> WholeCoverage:
        return whole_coverage(self.event, self.entries, NOW, span, 0, {"collected": 9, "stored": 7, "removed": 2})


Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`starling coverage flood` with this ledger, on a wide terminal."""
    monkeypatch.setattr(cli.coverage, "prepare", lambda: None)
    monkeypatch.setattr(cli.coverage, "datetime", Clock)
    monkeypatch.setenv("COLUMNS", "200")

    def coverage(event: Event, entries: Iterable[Entry], *args: str) -> str:
        monkeypatch.setattr(cli.coverage, "service", lambda: Ledger(event, entries))
        monkeypatch.setattr(sys, "argv", ["starling", "coverage", "flood", *args])
        cli.main()
        return capsys.readouterr().out

    return coverage


def times_in(value: object) -> Iterable[tuple[str, object]]:
    """All times of a JSON value, by the names that times have."""
    if isinstance(value, list):
        for one in value:
            yield from times_in(one)
    if isinstance(value, dict):
        for name, one in value.items():
            if name in ("from", "to", "opened", "since", "until", "at"):
                yield name, one
            yield from times_in(one)


def test_a_gap_tells_each_reason_and_since_when(run: Run) -> None:
    entries = [
        interval("x", HOUR, 30 * MINUTE, "X has ended the connection"),
        outage(29 * MINUTE, 5000, DENIED),
    ]
    shown = " ".join(run(flood(), entries).split())
    assert "x: 50 % of the time heard, 1 gap; 0 posts of all events" in shown
    since = datetime.fromtimestamp((NOW - 29 * MINUTE) / 1000, UTC).astimezone()
    assert re.search(rf"X has ended the connection; from [\d -]*{since:%H:%M:%S}\S* X refuses the token \(401\)", shown)
    (source,) = json.loads(run(flood(), entries, "--json"))["sources"]
    (gap,) = source["gaps"]
    assert [one["why"] for one in gap["why"]] == ["X has ended the connection", DENIED]
    assert gap["why"][0]["to"] == gap["why"][1]["from"]
    assert (gap["to"], gap["why"][1]["to"]) == (None, None)
    assert [one["why"] for one in source["outages"]] == [DENIED]


def test_a_gap_of_many_reasons_is_told_in_a_line() -> None:
    starts = range(NOW, NOW + 10 * MINUTE, MINUTE)
    reasons = tuple(Reason(start, start + MINUTE, f"reason {number}") for number, start in enumerate(starts))
    found = interval("x", HOUR, 0)
    heard = coverage(flood(), [found], NOW)[0]
    heard.gaps.append(Gap(NOW, NOW + 10 * MINUTE, reasons))
    ((_, _, _, why),) = gap_rows(plain(heard))
    assert [part.split("reason ")[-1] for part in why.plain.split("; ")] == ["0", "1", "2", "6 more", "9"]


def test_a_source_that_never_connected_is_listed(run: Run) -> None:
    shown = run(flood(), [outage(HOUR, 5000, DENIED)])
    assert "x: 0 % of the time heard, 1 gap" in shown
    assert DENIED in shown


def test_an_event_of_which_a_part_was_not_asked_for_was_not_simply_heard(run: Run) -> None:
    refused = [Refusal("flood", NOW - HOUR, (XYZ,), NOW - 54 * MINUTE)]
    entries = [interval("x", HOUR, 0, refused=refused)]
    shown = run(flood(), entries)
    assert "x: 100 % of the time heard (in 10 % of it only in part), no gap" in shown
    assert "heard without" in shown
    assert XYZ in shown
    (source,) = json.loads(run(flood(), entries, "--json"))["sources"]
    assert source["without"][0]["what"] == XYZ
    assert source["partly_seconds"] == 360
    assert "in part" not in run(flood(), [interval("x", HOUR, 0)])


def test_two_sources_have_a_joint_figure(run: Run) -> None:
    entries = [interval("x", HOUR, 31 * MINUTE, "cut"), interval("bluesky", 30 * MINUTE, 0)]
    shown = run(flood(), entries).splitlines()
    assert shown[0] == "all sources: 98.3 % of the time heard by at least one"
    told = json.loads(run(flood(), entries, "--json"))["all_sources"]
    assert [round((time_of(gap["to"]) - time_of(gap["from"])).total_seconds()) for gap in told["gaps"]] == [60]
    assert "all sources" not in run(flood(), entries[1:])


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_source_that_was_left_says_so(run: Run) -> None:
    left = Left(source="x", since=NOW - 30 * MINUTE, holder="host:7")
    entries = [interval("x", HOUR, 30 * MINUTE, "its tracker has stopped"), left]
    shown = run(flood(), entries)
    assert "x: 100 % of the time heard, no gap" in shown
    assert "x was not among STARLING_SOURCES from" in shown
    assert "host:7" in shown
    (source,) = json.loads(run(flood(), entries, "--json"))["sources"]
    assert source["left"] == [
        {"from": datetime.fromtimestamp(left.since / 1000, UTC).isoformat(), "to": None, "by": "host:7"}
    ]


def test_no_active_time_and_nobody_there_are_told_apart(run: Run) -> None:
    there = [interval("x", HOUR, 0)]
    assert run(flood(draft=True), there) == "flood has not been active yet\n"
    assert run(flood(ended_ago=30 * MINUTE), there, "--from", "now-10m") == "flood was not active in that time\n"
    assert run(flood(), []) == "no live source was there while flood was active\n"


def test_all_times_of_the_json_are_iso_8601(run: Run) -> None:
    refused = [Refusal("flood", NOW - HOUR, (XYZ,))]
    told = {"withheld": [Withheld(NOW - HOUR, 3)], "tagged": {"since": 4}}
    entries = [
        interval("x", HOUR, 40 * MINUTE, "cut", refused=refused, **told),
        outage(40 * MINUTE, 30 * MINUTE, DENIED, "its tracker has stopped"),
        Left(source="x", since=NOW - 20 * MINUTE, holder="a", until=NOW - 10 * MINUTE),
    ]
    found = json.loads(run(flood(), entries, "--json"))
    assert found["all_sources"]["gaps"][0]["to"] is None
    interval_found = found["sources"][0]["intervals"][0]
    assert interval_found["tagged"].pop("since") == 4, "the code of an event, not a time"
    times = list(times_in(found))
    assert len(times) > 15
    assert [one for one in times if one[1] is not None and not ISO.fullmatch(str(one[1]))] == []
