"""Live sources into Cassandra, and the ledger of what was heard: real workers against the simulator."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from msgspec.structs import replace

from app.domain.coverage import OVER_BUDGET
from app.domain.events import Definition
from app.domain.heard import Gap
from app.local.stack import Stack
from app.schema import COVERAGE, OUTAGE
from app.settings import Settings
from app.topics import RAW
from tests.support import commands, rows, topics, tracking
from tests.support.chain import chain
from tests.support.events import accepted, command, create, told
from tests.support.place import place
from tests.support.simulator import Simulator
from tests.support.together import Running, Together
from tests.support.waiting import until
from tests.support.workers import worker

scenarios = Together(at_once=4)

RULE_DELAY = 0.3  # seconds; an edit comes every 0.5 s, and each word is wanted for two of them


@scenarios.add
def bluesky_posts_are_heard_and_stored(stack: Stack) -> None:
    with Simulator("--posts", "0") as simulator, chain(stack, "all", **tracking.bluesky(simulator)) as running:
        settings = running.settings
        until(lambda: tracking.state(settings) == "idle", "no event, no connection")
        assert simulator.connections() == []
        accepted(settings, create("flood", keywords=("rotwasser",)))
        simulator.wait_connected("jetstream")
        simulator.push([tracking.skeet(number, f"the rotwasser rises {number}") for number in range(50)])
        due = {entry["id"] for entry in simulator.log(what="post") if entry["wire"] == "jetstream" and entry["sent"]}
        assert len(due) == 50
        until(lambda: len(tracking.stored(settings, "flood")) == 50, "all are stored")
        until(lambda: tracking.heard(settings, "flood").posts == 50, "the ledger has them")
        assert tracking.gaps(settings) == []


@scenarios.add
def edits_of_keywords_lose_nothing_and_double_nothing(stack: Stack) -> None:
    """1,000 posts a second while a keyword goes and another comes, 20 times; what must be stored, X's log says.

    Rules are in force some time after X has answered, as at X: what stays is sent all the same.
    """
    words = [f"wort{number}" for number in range(22)]
    with (
        Simulator("--rule-delay", str(RULE_DELAY), token=tracking.TOKEN) as simulator,
        chain(stack, "all", **tracking.x(simulator)) as running,
    ):
        settings = running.settings
        accepted(settings, create("flood", keywords=tuple(words[:2])))
        simulator.wait_connected()
        posts = [tracking.post(number, f"at the mill {words[number * 7 % 22]} {number}") for number in range(12_000)]
        simulator.push(posts, rate=1000)
        for number in range(20):
            tracking.wait_risen(simulator, 500 * (number + 1))
            keywords = tuple(words[number + 1 : number + 3])
            accepted(settings, command("edit", "flood", definition=Definition(keywords=keywords)))
            # Else a machine that stands still for a moment has two edits become one.
            until(lambda new=keywords[1]: new in str(simulator.rules()), "X is asked for it")
        tracking.wait_risen(simulator, len(posts))
        due = tracking.due(simulator, settings, "flood")
        assert len(due) > 1000
        asked = " ".join(entry["value"] for entry in simulator.log(what="rule"))
        assert set(words) <= set(re.findall(r"\w+", asked)), "X was asked for each"
        staying = _staying(simulator, {post["data"]["id"]: post["data"]["text"].split()[3] for post in posts})
        assert len(staying) > 500
        assert staying <= due, "what is wanted before and after an edit is sent"
        assert len(simulator.state()["past"]) == 0, "one connection for all of it"
        tracking.wait_stored(settings, "flood", due)
        assert tracking.gaps(settings) == []
        sent = {entry["id"] for entry in simulator.log(what="post") if entry["sent"]}
        assert running.intake().posts == len(sent), "none came twice to Kafka"


def _staying(simulator: Simulator, words: dict[str, str]) -> set[str]:
    """Ids of posts whose word each rule asks for that was the newest one within the time that X takes before it."""
    log = simulator.log()
    asked = [
        (entry["at"], set(re.findall(r"wort\d+", entry["value"])))
        for entry in log
        if entry["what"] == "rule" and entry["change"] == "rule added"
    ]
    found = set()
    for entry in log:
        if entry["what"] != "post":
            continue
        before = [wanted for at, wanted in asked if at < entry["at"] - RULE_DELAY - 0.1][-1:]
        since = [wanted for at, wanted in asked if entry["at"] - RULE_DELAY - 0.1 <= at <= entry["at"]]
        if before and all(words[entry["id"]] in wanted for wanted in before + since):
            found.add(entry["id"])
    return found


def bluesky_resumed(stack: Stack, wire: str) -> None:
    """A tracker that is killed and started anew has lost nothing: the server tells again what came meanwhile."""
    with (
        Simulator() as simulator,
        chain(stack, "manager", "worker", **tracking.bluesky(simulator, bluesky_wire=wire)) as rest,
        worker(rest.settings, "tracker") as tracker,
    ):
        tracker.wait_ready()
        tracking.flood(rest.settings, simulator, "jetstream")
        simulator.push([tracking.skeet(number, f"the rotwasser rises {number}") for number in range(1500)], rate=50)
        until(lambda: len(tracking.stored(rest.settings, "flood")) > 150, "it is at work", pause=0.3)
        tracker.kill()
        simulator.wait(lambda state: not state["connections"], "nobody listens")
        risen = len(simulator.log(what="post"))
        until(lambda: len(simulator.log(what="post")) > risen + 100, "posts come that nobody hears")
        tracker.restart()
        until(lambda: len(tracking.stored(rest.settings, "flood")) == 1500, "all are stored", 120, pause=0.5)
        assert tracking.gaps(rest.settings) == []
        killed, resumed = tracking.ledger(rest.settings)[0]
        assert (resumed.since, resumed.behind) == (killed.until, False)


@scenarios.add
def bluesky_is_resumed_by_its_cursor(stack: Stack) -> None:
    bluesky_resumed(stack, "v2")


@scenarios.add
def bluesky_is_resumed_by_time_on_the_older_wire(stack: Stack) -> None:
    bluesky_resumed(stack, "v1")


@scenarios.add
def a_tracker_that_is_killed_while_bluesky_catches_up_has_not_heard_the_rest(stack: Stack) -> None:
    with (
        Simulator("--posts", "0") as simulator,
        chain(stack, "manager", "worker", **tracking.bluesky(simulator)) as rest,
        worker(rest.settings, "tracker") as tracker,
    ):
        settings = rest.settings
        tracking.flood(settings, simulator, "jetstream")
        simulator.push([tracking.skeet(number, f"the rotwasser rises {number}") for number in range(10)])
        until(lambda: tracking.heard(settings, "flood").posts == 10, "the ledger has them")
        tracker.kill()
        simulator.wait(lambda state: not state["connections"], "nobody listens")
        simulator.push([tracking.skeet(number, f"the rotwasser rises {number}") for number in range(10, 20)])
        simulator.fault("slow_drip", wire="jetstream", later=True)
        tracker.restart()
        until(lambda: len(tracking.ledger(settings)[0]) == 2, "it is connected, and nothing has come")
        tracker.kill()
        killed, behind = tracking.ledger(settings)[0]
        assert (behind.since, behind.until, behind.behind) == (killed.until, killed.until, True)

        def missing() -> list[Gap]:
            return [gap for gap in tracking.gaps(settings) if gap.until > killed.until]

        (gap,) = until(missing, "all since then is a gap")
        assert (gap.since, gap.why, gap.goes_on) == (killed.until, "the source has not delivered it yet", True)
        simulator.fault("clear")
        tracker.restart()
        until(lambda: len(tracking.stored(settings, "flood")) == 20, "all are stored")
        until(lambda: not missing(), "and nothing is missing")
        assert tracking.ledger(settings)[0][2].since == killed.until


@scenarios.add
def what_was_heard_before_an_event_ended_is_stored_though_it_is_classified_later(stack: Stack) -> None:
    with (
        Simulator(token=tracking.TOKEN) as simulator,
        place(stack, **tracking.x(simulator)) as settings,
        worker(settings, "manager") as manager,
    ):
        manager.wait_ready()
        with worker(settings, "tracker") as tracker:
            tracker.wait_ready()
            tracking.flood(settings, simulator)
            simulator.push(tracking.stream(30))
            until(lambda: [one.posts for one in tracking.ledger(settings)[0]] == [30], "they are in Kafka")
            accepted(settings, command("edit", "flood", definition=Definition(keywords=("blauwasser",))))
            accepted(settings, command("stop", "flood"))
            simulator.wait(lambda state: not state["connections"], "nobody listens any more")
        with worker(settings, "worker"):
            tracking.wait_stored(settings, "flood", tracking.due(simulator, settings, "flood"))


def status_of(
    stack: Stack, wanted: str, *words: str, keywords: tuple[str, ...] = ("rotwasser",), **changed: Any
) -> None:
    """What the status says of a source that cannot be heard: one line with these words."""
    with chain(stack, "all", **changed) as running:
        accepted(running.settings, create("flood", keywords=keywords))
        until(lambda: tracking.state(running.settings) == wanted, f"it is {wanted}")
        _, (status,) = tracking.ledger(running.settings)
        assert all(word in status.words for word in words), status.words
        assert "\n" not in status.words
        assert tracking.TOKEN not in running.workers["all"].log
        warned = [one["why"] for one in running.workers["all"].complaints() if one["event"] == "no connection"]
        assert len(warned) == 1, warned


@scenarios.add
def a_wrong_token_is_said_in_one_line(stack: Stack) -> None:
    with Simulator(token="another") as simulator:  # noqa: S106 -- of the simulator
        status_of(stack, "refused", "STARLING_X_BEARER_TOKEN", "401", **tracking.x(simulator))


@scenarios.add
def a_missing_token_is_said_in_one_line(stack: Stack) -> None:
    status_of(stack, "refused", "STARLING_X_BEARER_TOKEN", sources="x", x_url="http://127.0.0.1:9")


@scenarios.add
def a_host_that_is_not_there_is_said_in_one_line(stack: Stack) -> None:
    status_of(stack, "waiting", "127.0.0.1", sources="x", x_url="http://127.0.0.1:9", x_bearer_token="any")  # noqa: S106
    status_of(stack, "waiting", "127.0.0.1", sources="bluesky", bluesky_url="ws://127.0.0.1:9")


@scenarios.add
def an_event_of_which_x_takes_nothing_is_said_in_one_line(stack: Stack) -> None:
    with Simulator("--rule-length", "64", token=tracking.TOKEN) as simulator:
        long = ("donaudampfschifffahrtsgesellschaft " * 5).strip()
        status_of(stack, "waiting", "no rule", keyword=long, **tracking.x(simulator, x_rule_length=64))


@scenarios.add
def rules_that_another_program_removes_are_put_back_while_it_listens_and_the_time_without_is_a_gap(
    stack: Stack,
) -> None:
    with (
        Simulator("--keep-alive", "2", token=tracking.TOKEN) as simulator,
        chain(stack, "all", **tracking.x(simulator, x_rules_seconds=1)) as running,
    ):
        settings = running.settings
        tracking.flood(settings, simulator)
        lose_rules(settings, simulator)
        simulator.push(tracking.stream(3, 200))
        tracking.wait_stored(settings, "flood", tracking.due(simulator, settings, "flood"))
        assert len(tracking.stored(settings, "flood")) == 6
        assert simulator.changes("x") == ["connected"]
        removed, added = (int(entry["at"] * 1000) for entry in simulator.log(what="rule")[-2:])
        (gap,) = until(lambda: ended_gaps(settings), "the gap is over")
        assert gap.since <= removed < added <= gap.until
        assert gap.why == "the source was not asked for it (it had lost what it was asked for)"
        wait_in_cassandra(settings, [gap.since, None])


def ended_gaps(settings: Settings) -> list[Gap]:
    """What was not heard, and is over."""
    return [gap for gap in tracking.gaps(settings) if not gap.goes_on]


def wait_in_cassandra(settings: Settings, ends: list[int | None]) -> None:
    """Return once this is until when the event was asked for, in the order of the connections."""

    def stored() -> list[int | None]:
        found = rows.query(settings, rows.EVERYTHING + COVERAGE)
        found.sort(key=lambda row: row["opened"])
        return [one["until"] for row in found for one in json.loads(row["events"])]

    until(lambda: stored() == ends, "it stands in Cassandra")


@scenarios.add
def rules_that_another_program_has_removed_are_put_back_at_the_next_connection(stack: Stack) -> None:
    with (
        Simulator("--keep-alive", "2", token=tracking.TOKEN) as simulator,
        chain(stack, "all", **tracking.x(simulator)) as running,
    ):
        settings = running.settings
        tracking.flood(settings, simulator)
        (ours,) = simulator.rules()
        time.sleep(6)  # longer than a start may take without being a gap
        simulator.remove_rules(ours["value"])
        simulator.fault("end", wire="x")
        until(lambda: simulator.changes("x").count("connected") == 2, "it is connected again")
        assert [rule["value"] for rule in simulator.rules()] == [ours["value"]]
        lost = [one for one in running.workers["all"].complaints() if "has lost" in one["event"]]
        assert [one["events"] for one in lost] == [["flood"]]
        (gap,) = until(lambda: ended_gaps(settings), "the gap is over")
        removed, added = (int(entry["at"] * 1000) for entry in simulator.log(what="rule")[-2:])
        assert gap.since <= removed < added <= gap.until
        assert gap.why == "the source was not asked for it (it had lost what it was asked for)"
        opened = tracking.ledger(settings)[0][0].opened
        wait_in_cassandra(settings, [opened, None])  # X had them when they were made; that was looked at last before
        simulator.push(tracking.stream(3))
        tracking.wait_stored(settings, "flood", tracking.due(simulator, settings, "flood"))


@scenarios.add
def a_gap_is_filled_from_recent_search_where_that_is_allowed(stack: Stack) -> None:
    with (
        Simulator(token=tracking.TOKEN) as simulator,
        chain(stack, "all", **tracking.x(simulator, x_search=True)) as running,
    ):
        settings = running.settings
        tracking.flood(settings, simulator)
        simulator.push(tracking.stream(5))
        tracking.wait_stored(settings, "flood", tracking.due(simulator, settings, "flood"))
        tracking.cut_off(simulator)
        simulator.push(tracking.stream(20, 100))
        simulator.wait_connected()
        simulator.push(tracking.stream(5, 200))
        until(lambda: len(tracking.stored(settings, "flood")) == 30, "those of the gap are stored, too")
        until(lambda: tracking.gaps(settings) == [], "the gap is made good")
        origins = Counter(row["origin"] for row in rows.tweets(settings).values())
        assert origins == {"live": 10, "search": 20}


@scenarios.add
def an_event_that_ended_in_a_gap_is_searched_for_though_nothing_is_listened_for_any_more(stack: Stack) -> None:
    with (
        Simulator(token=tracking.TOKEN) as simulator,
        chain(stack, "all", **tracking.x(simulator, x_search=True)) as running,
    ):
        settings = running.settings
        tracking.flood(settings, simulator)
        simulator.push(tracking.stream(5))
        tracking.wait_stored(settings, "flood", tracking.due(simulator, settings, "flood"))
        tracking.cut_off(simulator)
        simulator.push(tracking.stream(20, 100))
        time.sleep(1.5)  # a search asks for whole seconds
        accepted(settings, command("stop", "flood"))
        time.sleep(2)
        after = tracking.stream(3, 200)
        simulator.push(after)
        until(lambda: len(tracking.stored(settings, "flood")) >= 25, "those of the gap are stored, too")
        until(lambda: tracking.gaps(settings) == [], "the gap is made good")
        assert simulator.changes("x").count("connected") == 1, "nothing is listened for"
        late = {one["data"]["id"] for one in after}
        assert not tracking.stored(settings, "flood") & late, "what came after its end is not the event's"
        assert Counter(row["origin"] for row in rows.tweets(settings).values()) == {"live": 5, "search": 20}


@scenarios.add
def an_event_that_was_edited_in_a_gap_is_searched_for_by_the_keywords_of_each_time(stack: Stack) -> None:
    with (
        Simulator(token=tracking.TOKEN) as simulator,
        chain(stack, "all", **tracking.x(simulator, x_search=True)) as running,
    ):
        settings = running.settings
        tracking.flood(settings, simulator)
        tracking.cut_off(simulator, count=2)
        before = [tracking.post(1, "the rotwasser rises"), tracking.post(2, "the deichbruch")]
        simulator.push(before)
        time.sleep(2)  # a search asks for whole seconds
        edit = Definition(keywords=("deichbruch",))
        accepted(settings, command("edit", "flood", definition=edit))
        time.sleep(2)
        after = [tracking.post(3, "the rotwasser falls"), tracking.post(4, "another deichbruch")]
        simulator.push(after)
        simulator.wait_connected()
        until(lambda: tracking.gaps(settings) == [], "the gap is made good")
        wanted = {before[0]["data"]["id"], after[1]["data"]["id"]}
        until(lambda: tracking.stored(settings, "flood") >= wanted, "what was wanted at each time")
        assert after[0]["data"]["id"] not in tracking.stored(settings, "flood")


@scenarios.add
def what_recent_search_cannot_ask_for_is_told_of_the_gap_that_it_fills(stack: Stack) -> None:
    long = " ".join(f"wort{number}" for number in range(12))
    given = {"x_search": True, "x_query_length": 128}
    with Simulator(token=tracking.TOKEN) as simulator, chain(stack, "all", **tracking.x(simulator, **given)) as running:
        settings = running.settings
        accepted(settings, create("flood", keywords=("rotwasser", long)))
        simulator.wait_connected()
        tracking.cut_off(simulator)
        simulator.push([*tracking.stream(2), tracking.post(50, long)])
        simulator.wait_connected()
        until(lambda: tracking.gaps(settings) == [], "what can be searched for is")
        found = tracking.heard(settings, "flood")
        assert [one.what.partition(": ")[0] for one in found.without] == [long]
        assert "128 characters" in found.without[0].what
        assert 0 < found.partly < found.heard
        until(lambda: len(tracking.stored(settings, "flood")) == 2, "the others of the gap are stored")


@scenarios.add
def what_x_delivers_of_the_past_is_no_gap(stack: Stack) -> None:
    with (
        Simulator("--keep-alive", "5", token=tracking.TOKEN) as simulator,
        chain(stack, "all", **tracking.x(simulator, x_backfill_minutes=5)) as running,
    ):
        settings = running.settings
        tracking.flood(settings, simulator)
        simulator.push(tracking.stream(5))
        tracking.wait_stored(settings, "flood", tracking.due(simulator, settings, "flood"))
        simulator.fault("status", wire="x", status=503, count=2)
        simulator.fault("end", wire="x")
        until(lambda: simulator.changes("x")[-2:] == ["refused 503"] * 2, "it waits for ten seconds", pause=0.05)
        simulator.push([*tracking.stream(20, 100), tracking.post(150, "a deichbruch")])
        assert len(tracking.due(simulator, settings, "flood")) == 5, "nobody hears them"
        accepted(settings, create("breach", keywords=("deichbruch",)))
        simulator.wait_connected()
        simulator.push(tracking.stream(5, 200))
        until(lambda: len(tracking.due(simulator, settings, "flood")) == 30, "X delivers them with those after")
        tracking.wait_stored(settings, "flood", tracking.due(simulator, settings, "flood"))
        assert Counter(row["origin"] for row in rows.tweets(settings).values()) == {"live": 30}
        assert running.counted() == {"flood": 30}, "X had no rule for the other event when its post was written"
        before, after = until(
            lambda: not (found := tracking.ledger(settings)[0])[-1].behind and found, "the past is through", 90, pause=1
        )
        assert (before.ended, after.since, after.posts) == ("X closed the connection", before.until, 25)
        assert tracking.gaps(settings) == []
        (ruled,) = (one["at"] for one in simulator.log(what="rule") if "deichbruch" in one["value"])
        since = {one.code: one.since for one in after.events}
        assert since["flood"] == before.until < int(ruled * 1000) <= since["breach"] <= after.opened
        assert simulator.changes("x") == ["connected", "ended end", "refused 503", "refused 503", "connected"]


@scenarios.add
def a_gap_that_another_tracker_has_left_is_filled_by_the_next(stack: Stack) -> None:
    with (
        Simulator(token=tracking.TOKEN) as simulator,
        chain(stack, "manager", "worker", **tracking.x(simulator)) as rest,
    ):
        with worker(rest.settings, "tracker") as tracker:
            tracker.wait_ready()
            tracking.flood(rest.settings, simulator)
            tracking.cut_off(simulator)
            simulator.push(tracking.stream(20))
            simulator.wait_connected()
            simulator.push(tracking.stream(5, 100))
            tracking.wait_stored(rest.settings, "flood", tracking.due(simulator, rest.settings, "flood"))
            assert len(tracking.gaps(rest.settings)) == 1, "nobody may fill it"
        may = rest.settings.model_copy(update={"x_search": True})
        with worker(may, "tracker"):
            until(lambda: len(tracking.stored(may, "flood")) == 25, "those of the gap are stored, too")
            until(lambda: tracking.gaps(may) == [], "it is made good")


def lose_rules(settings: Settings, simulator: Simulator) -> None:
    """Some posts are heard, and others while X has no rule for them, until it is put back."""
    simulator.push(tracking.stream(3))
    tracking.wait_stored(settings, "flood", tracking.due(simulator, settings, "flood"))
    (ours,) = simulator.rules()
    time.sleep(6)  # longer than a start may take without being a gap
    simulator.remove_rules(ours["value"])
    simulator.push(tracking.stream(3, 100))
    until(lambda: [rule["value"] for rule in simulator.rules()] == [ours["value"]], "it is put back")
    assert len(tracking.due(simulator, settings, "flood")) == 3


def wait_made_good(settings: Settings) -> None:
    until(lambda: len(tracking.stored(settings, "flood")) == 6, "what was missed is stored")
    assert Counter(row["origin"] for row in rows.tweets(settings).values()) == {"live": 3, "search": 3}
    until(lambda: ended_gaps(settings) == [], "it is made good")
    found = tracking.heard(settings, "flood")
    assert (found.without, found.partly) == ([], 0), "with all of it"


@scenarios.add
def what_was_written_while_x_had_lost_its_rules_is_searched_for(stack: Stack) -> None:
    given = {"x_rules_seconds": 3, "x_search": True}
    with Simulator(token=tracking.TOKEN) as simulator, chain(stack, "all", **tracking.x(simulator, **given)) as running:
        tracking.flood(running.settings, simulator)
        lose_rules(running.settings, simulator)
        wait_made_good(running.settings)
        assert simulator.changes("x") == ["connected"]


@scenarios.add
def what_another_tracker_has_seen_to_be_lost_is_searched_for_by_the_next(stack: Stack) -> None:
    with (
        Simulator(token=tracking.TOKEN) as simulator,
        chain(stack, "manager", "worker", **tracking.x(simulator, x_rules_seconds=3)) as rest,
    ):
        with worker(rest.settings, "tracker") as tracker:
            tracker.wait_ready()
            tracking.flood(rest.settings, simulator)
            lose_rules(rest.settings, simulator)
            until(lambda: len(ended_gaps(rest.settings)) == 1, "nobody may fill it")
        may = rest.settings.model_copy(update={"x_search": True})
        with worker(may, "tracker"):
            wait_made_good(may)


@scenarios.add
def what_only_x_finds_to_match_is_counted(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, chain(stack, "all", **tracking.x(simulator)) as running:
        tracking.flood(running.settings, simulator)
        tag = f"starling:{running.settings.topic_prefix}:flood"
        strange = tracking.post(1, "nothing of it") | {"matching_rules": [{"id": "1", "tag": tag}]}
        simulator.push([strange], raw="1", wire="x")
        until(lambda: running.intake().platform_only == {"flood": 1}, "it is counted")
        assert tracking.stored(running.settings, "flood") == set()
        kept = [record.value for record in topics.read(running.settings, RAW)]
        assert [json.loads(line) for value in kept for line in value.split(b"\n")] == [strange]


@scenarios.add
def the_budget_of_a_month_is_kept(stack: Stack) -> None:
    with (
        Simulator(token=tracking.TOKEN) as simulator,
        chain(stack, "all", **tracking.x(simulator, x_reads_hard=20)) as running,
    ):
        tracking.flood(running.settings, simulator)
        simulator.push(tracking.stream(25))
        until(lambda: tracking.state(running.settings) == "over budget", "it says so")
        assert simulator.connections("x") == []
        intervals, (status,) = tracking.ledger(running.settings)
        assert sum(sum(one.reads.values()) for one in intervals) == 25
        assert "STARLING_X_READS_HARD" in status.words
        tracking.wait_stored(running.settings, "flood", tracking.due(simulator, running.settings, "flood"))
        (gap,) = until(lambda: tracking.gaps(running.settings), "what is not heard any more is a gap")
        (why,) = (reason.why for reason in gap.reasons)
        assert (gap.goes_on, why) == (True, status.words.partition("; tries again")[0])
        assert why.startswith(OVER_BUDGET)

        def stored(table: str, column: str) -> list[str]:
            return [row[column] for row in rows.query(running.settings, rows.EVERYTHING + table)]

        until(lambda: (stored(COVERAGE, "ended"), stored(OUTAGE, "why")) == ([why], [why]), "it stands in Cassandra")
        state = Path(mkdtemp(prefix="state-"))
        told = json.loads(commands.run(running.settings, state, "coverage", "flood", "--json").out)
        (shown,) = [gap for gap in told["sources"][0]["gaps"] if gap["to"] is None]
        assert [one["why"] for one in shown["why"]] == [why]
        assert why in " ".join(commands.run(running.settings, state, "coverage", "flood").out.split())


@scenarios.add
def that_the_soft_limit_is_passed_is_told_and_listened_on(stack: Stack) -> None:
    with (
        Simulator(token=tracking.TOKEN) as simulator,
        chain(stack, "all", **tracking.x(simulator, x_reads_soft=20)) as running,
    ):
        tracking.flood(running.settings, simulator)
        simulator.push(tracking.stream(25))
        until(lambda: "; 25 posts read in" in tracking.ledger(running.settings)[1][0].words, "it says what was read")
        _, (status,) = tracking.ledger(running.settings)
        assert (status.state, "beyond the 20 set" in status.words) == ("listening", True), status.words
        log = [one["event"] for one in running.workers["all"].complaints()]
        assert [event for event in log if "READS" in event] == [
            "more posts were read this month than STARLING_X_READS_SOFT"
        ]
        _, page = running.workers["all"].get("/metrics")
        assert 'starling_reads_month{source="x"} 25.0' in page


@scenarios.add
def an_event_is_listened_for_from_its_start_to_its_end(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, chain(stack, "all", **tracking.x(simulator)) as running:
        start = datetime.now(UTC) + timedelta(seconds=12)  # later than a slow machine has accepted it
        end = start + timedelta(seconds=30)  # later than a slow machine is connected
        accepted(running.settings, create("flood", keywords=("rotwasser",), start=start, end=end))
        assert tracking.state(running.settings) in ("", "idle")
        assert simulator.rules() == []
        simulator.wait_connected()
        simulator.wait(lambda state: not state["connections"], "no connection without an event")
        connected, left = (entry["at"] for entry in simulator.log(what="connection"))
        assert start.timestamp() <= connected
        assert end.timestamp() <= left
        (interval,) = tracking.ledger(running.settings)[0]
        assert interval.ended == "no event is active"
        until(lambda: tracking.state(running.settings) == "idle", "it is idle")
        until(lambda: simulator.rules() == [], "X is asked for nothing any more")
        assert tracking.gaps(running.settings) == []


@scenarios.add
def an_event_whose_end_is_edited_while_it_runs_is_listened_for_until_then(stack: Stack) -> None:
    def edit_end(end: datetime) -> None:
        accepted(running.settings, command("edit", "flood", definition=Definition(end=end)))

    with Simulator(token=tracking.TOKEN) as simulator, chain(stack, "all", **tracking.x(simulator)) as running:
        settings = running.settings
        now = datetime.now(UTC)
        over = create("over", keywords=("rotwasser",), start=now - timedelta(hours=1), end=now)
        assert told(settings, replace(over, at=now)).message == "the end is past"
        later = now + timedelta(hours=1)
        accepted(settings, replace(create("flood", keywords=("rotwasser",), start=now, end=later), at=now))
        simulator.wait_connected()
        first = datetime.now(UTC) + timedelta(seconds=20)  # later than a slow machine has accepted the next edit
        edit_end(first)
        edit_end(later)
        until(lambda: datetime.now(UTC) > first + timedelta(seconds=3), "the first end is over")
        assert simulator.changes("x") == ["connected"]
        last = datetime.now(UTC) + timedelta(seconds=3)
        edit_end(last)
        simulator.wait(lambda state: not state["connections"], "no connection without an event")
        assert simulator.changes("x") == ["connected", "ended closed by the client"]
        assert last.timestamp() <= simulator.log(what="connection")[-1]["at"]
        until(lambda: simulator.rules() == [], "X is asked for nothing any more")
        accepted(settings, command("start", "flood"))
        simulator.wait_connected()
        edit_end(datetime.now(UTC))
        simulator.wait(lambda state: not state["connections"], "an end that has passed ends it too")
        assert ended_gaps(settings) == []


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
