"""The parts of the demo that need no server."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
import time
import weakref
from collections import Counter
from datetime import datetime
from typing import Any

import msgspec
import pytest
from rich.console import Console

from app.demo.checks import Check
from app.demo.comparing import RAW_JSON, Difference, bucket, differences, expected_row
from app.demo.hearing import Live, Told, asked_at, checks, told
from app.demo.interrupts import handled, run_async
from app.demo.ledger import Ledger
from app.demo.outcome import Outcome
from app.demo.plan import EVENTS, LIVE_EVENT, LIVE_KEYWORD
from app.demo.watching import Figures
from app.demo.worker import environment
from app.domain.codes import code_of
from app.domain.columns import COLUMNS
from app.domain.events import Event
from app.domain.heard import Gap, Heard
from app.domain.partitioning import BucketRule, bucket_of
from app.domain.reasons import NOT_YET, Reason
from app.generator import Expected, Generator, Planted
from app.settings import Settings
from cli.demo_screen import DemoScreen

START_MS = 1_767_225_600_000
RULES = (BucketRule(since=0, seconds=3600, shards=1), BucketRule(since=START_MS + 500, seconds=60, shards=4))


def events() -> list[Event]:
    made = []
    for definition in EVENTS:
        given: dict[str, Any] = definition.checked().given()
        made.append(Event(code=code_of(given["name"]), status="active", buckets=RULES, **given))
    return made


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    found = Ledger(tuple(event.code for event in events()))
    generator = Generator(events(), 7)
    for number in range(2000):
        found.note(generator.line(START_MS + number), START_MS + number + 5)
    return found


def test_the_ledger_holds_every_row_once_and_counts_every_sending(ledger: Ledger) -> None:
    assert ledger.lines == 2000
    assert 0 < len(ledger.rows) < ledger.pairs
    assert sum(counts.posts for counts in ledger.counts.values()) == ledger.pairs
    for counts in ledger.counts.values():
        assert counts.languages.total() == counts.hours.total() == counts.posts <= counts.keywords.total()
    assert sum(ledger.malformed.values()) > 0
    assert {"delete", "limit"} <= ledger.control.keys()


def test_a_bucket_follows_from_the_id_as_the_worker_has_it(ledger: Ledger) -> None:
    for _, post in ledger.rows:
        assert bucket(RULES, post) == bucket_of(RULES, post, None)[0]


def test_every_column_of_a_row_is_expected_and_each_is_compared(ledger: Ledger) -> None:
    by_code = {event.code: event for event in events()}
    (code, _), due = next(item for item in ledger.rows.items() if item[1].checksum is not None)
    row = expected_row(by_code[code], due)
    assert row.keys() == {*COLUMNS, RAW_JSON}
    assert list(differences(by_code[code], due, row)) == []
    for column in row:
        found = list(differences(by_code[code], due, row | {column: "another"}))
        assert [(difference.column, difference.found) for difference in found] == [(column, "another")]


def test_the_json_of_a_post_out_of_a_list_must_only_be_there(ledger: Ledger) -> None:
    by_code = {event.code: event for event in events()}
    (code, _), due = next(item for item in ledger.rows.items() if item[1].checksum is None)
    row = expected_row(by_code[code], due)
    assert list(differences(by_code[code], due, row | {RAW_JSON: 17})) == []
    assert len(list(differences(by_code[code], due, row | {RAW_JSON: None}))) == 1


def test_a_row_may_be_of_any_version_that_the_event_has_had(ledger: Ledger) -> None:
    (code, _), due = next(iter(ledger.rows.items()))
    event = next(event for event in events() if event.code == code)
    grown = Event(code=code, name=event.name, keywords=event.keywords, version=3, buckets=RULES)
    for version, wrong in ((1, 0), (3, 0), (4, 1), (0, 1)):
        row = expected_row(grown, due) | {"event_version": version}
        assert len(list(differences(grown, due, row))) == wrong


def outcome(agrees: bool) -> Outcome:
    wrong = Difference("flood", "17", "t_text", "a [bold]text[/]", None)
    missing = Difference("flood", "18", "", "one", "none")
    return Outcome(
        checks=[Check("rows in Cassandra", 1000, 999, agrees)],
        differences=[] if agrees else [wrong, missing],
        missing=1,
        unexpected=0,
        wrong=1,
        posts=2000,
        seconds=4,
        latency_p50=0.1,
        latency_p99=None,
    )


@pytest.mark.parametrize("agrees", [True, False])
def test_the_end_says_whether_all_is_equal_and_what_is_not(agrees: bool) -> None:
    console = Console(file=io.StringIO(), width=90)
    DemoScreen(console).close(outcome(agrees))
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert ("what Cassandra holds equals what was planted" in told) is agrees
    assert ("does NOT equal" in told) is not agrees
    assert ("a [bold]text[/]" in told and "18" in told) is not agrees
    assert "2,000 posts in 4 s: 500 a second" in told


def figures(seconds: float, *, done: bool = False) -> Figures:
    return Figures(seconds, 3000, 2900, 1400, {"flood": 1500}, {"flood": 1450}, 700.0, done)


def test_lag_is_what_was_sent_and_is_neither_read_nor_stored() -> None:
    assert figures(1).lag == 150
    assert figures(1).lag_seconds == pytest.approx(150 / 700)


def test_without_a_terminal_a_line_comes_every_few_seconds_and_at_the_end() -> None:
    console = Console(file=io.StringIO(), width=60)
    screen = DemoScreen(console)
    for tenth in range(120):
        screen.show(figures(tenth / 10), 9000)
    screen.show(figures(12.1, done=True), 9000)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 4
    assert all("posts in 3,000 of 9,000" in line and "lag 150 posts (0.2 s)" in line for line in lines)


def test_on_a_terminal_a_table_is_drawn_in_place() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    screen = DemoScreen(console)
    screen.busy("fetching Kafka: 3 of 40 jars")
    screen.show(figures(1), 9000)
    screen.say("comparing")
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert "flood" in told
    assert "1,450" in told
    assert told.endswith("comparing\n")


def test_an_interrupt_lets_a_coroutine_tidy_up_and_is_raised_once() -> None:
    tidied: list[datetime] = []

    async def main() -> None:
        try:
            asyncio.get_running_loop().call_later(0.05, signal.raise_signal, signal.SIGTERM)
            await asyncio.sleep(30)
        finally:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0.05)
            tidied.append(datetime.now())

    before = signal.getsignal(signal.SIGINT)
    with handled():
        with pytest.raises(KeyboardInterrupt):
            run_async(main())
        signal.raise_signal(signal.SIGINT)  # passed over
    assert len(tidied) == 1
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_comes_where_nothing_can_be_raised_comes_once_more(number: signal.Signals) -> None:
    def gone(_: object) -> None:
        signal.raise_signal(number)
        raise AssertionError("it is raised before this")

    hook, told = sys.unraisablehook, "still there"
    with handled():
        thing = Console()
        reference = weakref.ref(thing, gone)
        with pytest.raises(KeyboardInterrupt):
            del thing
            told = "lost at first"
            time.sleep(60)
        signal.raise_signal(number)  # passed over
    assert told == "lost at first"
    assert reference() is None
    assert sys.unraisablehook is hook


def planted(number: str, *codes: str) -> Planted:
    return Planted(b"{}", "posts", "v2 single", (Expected(number, {code: {"dam": "text"} for code in codes}, ()),))


def risen(number: str, at: float, *tags: str, why: str = "") -> dict[str, Any]:
    return {"what": "post", "id": number, "at": at, "tags": tags, "sent": not why, "why": why}


LINKED = {"what": "connection", "change": "connected", "at": 9.0}
RULE = {"what": "rule", "change": "rule added", "at": 11.0, "tag": "t:flood", "value": "(dam OR levee)"}
LOG = [
    LINKED,
    risen("1", 10.0, why="no rule"),
    RULE,
    risen("2", 12.0, "t:flood"),
    risen("3", 13.0, "t:flood", why="cut"),
    risen("4", 13.1, "t:flood", why="not connected"),
    LINKED | {"at": 13.2},
    risen("5", 14.0, "t:flood", "t:other"),
    risen("6", 15.0, "t:other"),
    risen("7", 16.0, "t:flood"),
]
POSTS = [planted(number, "flood") for number in "123456"] + [planted("7")]


def gap(since: int, until: int, why: str) -> Gap:
    return Gap(since, until, (Reason(since, until, why),))


GAP = gap(12_900, 13_200, "broke off")


def heard(posts: int, *gaps: Gap) -> Heard:
    return Heard("x", 10_000, 9_700, list(gaps), 0, posts, True, [])


def test_what_the_source_has_sent_and_what_nobody_could_hear_is_read_from_its_log() -> None:
    due = told(LOG, "t:flood", POSTS, "flood")
    assert (due.arisen, due.sent, due.missed) == (7, {"2", "5"}, {"3": 13.0, "4": 13.1})
    assert (due.last, due.connected) == (14.0, 1)
    assert asked_at(LOG, "t:flood", "levee") == 11.0
    assert asked_at(LOG, "t:flood", "bridge") is None


def test_what_was_cut_and_sent_again_was_not_missed() -> None:
    due = told([*LOG, risen("3", 13.0, "t:flood")], "t:flood", POSTS, "flood")
    assert due.missed == {"4": 13.1}


def verdicts(due: Told, rows: str, found: Heard) -> list[bool]:
    return [check.agrees for check in checks(due, Counter(rows), found)]


def test_a_post_too_few_too_many_or_twice_a_second_gap_and_a_miss_outside_are_seen() -> None:
    due = told(LOG, "t:flood", POSTS, "flood")
    assert all(verdicts(due, "25", heard(2, GAP)))
    for rows in ("2", "256", "255", "26"):
        assert verdicts(due, rows, heard(2, GAP)) == [False, True, True, True, True]
    assert verdicts(due, "25", heard(3, GAP)) == [True, False, True, True, True]
    assert verdicts(due, "25", heard(2, GAP, gap(5000, 6000, "again"))) == [True, True, True, False, True]
    assert verdicts(due, "25", heard(2, gap(0, 6000, NOT_YET), GAP)) == [True] * 5
    assert verdicts(due, "25", heard(2, gap(20_000, 21_000, "later"))) == [True, True, True, True, False]
    assert verdicts(told([*LOG, LINKED], "t:flood", POSTS, "flood"), "25", heard(2, GAP))[2] is False


def test_the_event_of_the_live_source_can_be_planted_beside_its_new_keyword() -> None:
    given: dict[str, Any] = LIVE_EVENT.checked().given()
    wider = Event(code="live", status="active", name="live", keywords=(*given["keywords"], LIVE_KEYWORD))
    assert Generator([wider], 1).line(START_MS).line


def test_the_end_shows_the_live_source_and_what_coverage_says() -> None:
    live = Live("flood", [Check("live", 2, 2, True)], 7, 2, 2, 1, 0.2, heard(2, GAP))
    console = Console(file=io.StringIO(), width=120)
    all_of_it = outcome(True)
    all_of_it.checks.extend(live.checks)
    DemoScreen(console).close(msgspec.structs.replace(all_of_it, live=live))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "of 7 posts 2 were sent for flood, and all of these are stored once" in shown
    assert "$ starling coverage flood\nx: 97 % of the time heard, 1 gap; 2 posts" in shown
    assert "0.3 s   broke off" in shown


def test_a_process_of_the_demo_is_told_its_token_and_nothing_of_other_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARLING_X_READS_HARD", "5")
    monkeypatch.setenv("STARLING_SOURCES", "bluesky")
    own = Settings.model_validate({"sources": "x", "x_bearer_token": "a-token"})
    found = environment(own)
    assert (found["STARLING_SOURCES"], found["STARLING_X_BEARER_TOKEN"]) == ("x", "a-token")
    assert "STARLING_X_READS_HARD" not in found
