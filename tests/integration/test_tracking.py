"""Live sources into Cassandra, and the ledger of what was heard: real workers against the simulator."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.events import Definition
from app.domain.heard import Gap
from app.domain.reasons import NOT_YET
from app.local.stack import Stack
from tests.support import rows, tracking
from tests.support.chain import chain
from tests.support.events import accepted, command, create
from tests.support.place import place
from tests.support.simulator import Simulator
from tests.support.together import Running, Together
from tests.support.waiting import until
from tests.support.workers import worker

scenarios = Together(at_once=4)


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
        found = until(lambda: (one := tracking.heard(settings, "flood")).posts == 50 and one, "the ledger has them")
        assert (found.share, found.gaps) == (1.0, [])


@scenarios.add
def edits_of_keywords_lose_nothing_and_double_nothing(stack: Stack) -> None:
    """1,000 posts a second while a keyword goes and another comes, 20 times; what must be stored, X's log says."""
    words = [f"wort{number}" for number in range(22)]
    with Simulator(token=tracking.TOKEN) as simulator, chain(stack, "all", **tracking.x(simulator)) as running:
        settings = running.settings
        accepted(settings, create("flood", keywords=tuple(words[:2])))
        simulator.wait_connected()
        posts = [tracking.post(number, f"at the mill {words[number * 7 % 22]} {number}") for number in range(12_000)]
        simulator.push(posts, rate=1000)
        for number in range(20):
            tracking.wait_risen(simulator, 500 * (number + 1))
            keywords = tuple(words[number + 1 : number + 3])
            accepted(settings, command("edit", "flood", definition=Definition(keywords=keywords)))
        tracking.wait_risen(simulator, len(posts))
        due = tracking.due(simulator, settings, "flood")
        assert len(due) > 1000
        asked = " ".join(entry["value"] for entry in simulator.log(what="rule"))
        assert set(words) <= set(re.findall(r"\w+", asked)), "X was asked for each"
        assert len(simulator.state()["past"]) == 0, "one connection for all of it"
        tracking.wait_stored(settings, "flood", due)
        assert tracking.heard(settings, "flood").gaps == []
        sent = {entry["id"] for entry in simulator.log(what="post") if entry["sent"]}
        assert running.intake().posts == len(sent), "none came twice to Kafka"


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
        assert tracking.heard(rest.settings, "flood").gaps == []
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
            return [gap for gap in tracking.heard(settings, "flood").gaps if gap.until > killed.until]

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
def a_gap_is_filled_from_recent_search_where_that_is_allowed(stack: Stack) -> None:
    with (
        Simulator(token=tracking.TOKEN) as simulator,
        chain(stack, "all", **tracking.x(simulator, x_search=True)) as running,
    ):
        settings = running.settings
        tracking.flood(settings, simulator)
        simulator.push(tracking.stream(5))
        tracking.wait_stored(settings, "flood", tracking.due(simulator, settings, "flood"))
        simulator.fault("status", wire="x", status=503)
        simulator.fault("end", wire="x")
        simulator.wait(lambda state: not state["connections"], "not connected")
        simulator.push(tracking.stream(20, 100))
        simulator.wait_connected()
        simulator.push(tracking.stream(5, 200))
        until(lambda: len(tracking.stored(settings, "flood")) == 30, "those of the gap are stored, too")
        until(lambda: tracking.heard(settings, "flood").gaps == [], "the gap is made good")
        origins = Counter(row["origin"] for row in rows.tweets(settings).values())
        assert origins == {"live": 10, "search": 20}


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
        simulator.push(tracking.stream(20, 100))
        assert len(tracking.due(simulator, settings, "flood")) == 5, "nobody hears them"
        simulator.wait_connected()
        simulator.push(tracking.stream(5, 200))
        until(lambda: len(tracking.due(simulator, settings, "flood")) == 30, "X delivers them with those after")
        tracking.wait_stored(settings, "flood", tracking.due(simulator, settings, "flood"))
        assert Counter(row["origin"] for row in rows.tweets(settings).values()) == {"live": 30}
        assert running.counted() == {"flood": 30}
        before, after = until(
            lambda: not (found := tracking.ledger(settings)[0])[-1].behind and found, "the past is through", 90, pause=1
        )
        assert (before.ended, after.since, after.posts) == ("X closed the connection", before.until, 25)
        assert [gap for gap in tracking.heard(settings, "flood").gaps if gap.why != NOT_YET] == []
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
            simulator.fault("status", wire="x", status=503)
            simulator.fault("end", wire="x")
            simulator.wait(lambda state: not state["connections"], "not connected")
            simulator.push(tracking.stream(20))
            simulator.wait_connected()
            simulator.push(tracking.stream(5, 100))
            tracking.wait_stored(rest.settings, "flood", tracking.due(simulator, rest.settings, "flood"))
            assert len(tracking.heard(rest.settings, "flood").gaps) == 1, "nobody may fill it"
        may = rest.settings.model_copy(update={"x_search": True})
        with worker(may, "tracker"):
            until(lambda: len(tracking.stored(may, "flood")) == 25, "those of the gap are stored, too")
            until(lambda: tracking.heard(may, "flood").gaps == [], "it is made good")


@scenarios.add
def what_only_x_finds_to_match_is_counted(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, chain(stack, "all", **tracking.x(simulator)) as running:
        tracking.flood(running.settings, simulator)
        tag = f"starling:{running.settings.topic_prefix}:flood"
        strange = tracking.post(1, "nothing of it") | {"matching_rules": [{"id": "1", "tag": tag}]}
        simulator.push([strange], raw="1", wire="x")
        until(lambda: running.intake().platform_only == {"flood": 1}, "it is counted")
        assert tracking.stored(running.settings, "flood") == set()


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
        start = datetime.now(UTC) + timedelta(seconds=4)
        end = start + timedelta(seconds=8)
        accepted(running.settings, create("flood", keywords=("rotwasser",), start=start, end=end))
        assert tracking.state(running.settings) in ("", "idle")
        assert simulator.rules() == []
        simulator.wait_connected()
        simulator.wait(lambda state: not state["connections"], "no connection without an event")
        (interval,) = tracking.ledger(running.settings)[0]
        assert interval.ended == "no event is active"
        until(lambda: tracking.state(running.settings) == "idle", "it is idle")
        until(lambda: simulator.rules() == [], "X is asked for nothing any more")
        assert tracking.heard(running.settings, "flood").gaps == []


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
