"""Each fault that a source can have, and what stands in Cassandra and in the ledger after it."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.heard import Heard
from app.local.stack import Stack
from tests.support import topics, tracking
from tests.support.chain import Chain, chain
from tests.support.simulator import Simulator
from tests.support.together import Running, Together
from tests.support.waiting import until

scenarios = Together(at_once=6)


def gaps(running: Chain, count: int) -> Heard:
    """The coverage, once it has so many gaps that are over."""

    def found() -> Heard | None:
        heard = tracking.heard(running.settings, "flood")
        return heard if [gap.goes_on for gap in heard.gaps] == [False] * count else None

    return until(found, f"{count} gaps", 60, pause=0.5)


def wait_replaced(simulator: Simulator, old: dict[str, Any], kind: str, seconds: float = 60) -> None:
    """Return once another connection is there instead of this one."""

    def replaced(state: dict[str, Any]) -> bool:
        now = [one["id"] for one in state["connections"] if one["wire"] == old["wire"]]
        return now not in ([], [old["id"]])

    simulator.wait(replaced, f"another connection after {kind}", seconds)


def x_chain(stack: Stack, simulator: Simulator, **more: object):  # type: ignore[no-untyped-def] # noqa: ANN201
    return chain(stack, "all", **tracking.x(simulator, **more))


@scenarios.add
def a_quiet_stream_with_keep_alives_is_left_alone(stack: Stack) -> None:
    with Simulator("--keep-alive", "5", token=tracking.TOKEN) as simulator, x_chain(stack, simulator) as running:
        tracking.flood(running.settings, simulator)
        simulator.push(tracking.stream(5))
        simulator.fault("silence_with_keepalive", wire="x", seconds=90)
        until(lambda: tracking.state(running.settings) == "quiet", "it is said to be quiet", 100, pause=1)
        until(lambda: simulator.state()["connections"][0]["mood"] is None, "the silence is over", 100, pause=1)
        simulator.push(tracking.stream(5, 5))
        tracking.wait_stored(running.settings, "flood", tracking.due(simulator, running.settings, "flood"))
        assert simulator.state()["past"] == [], "no connection has ended"
        assert tracking.heard(running.settings, "flood").gaps == []


def replaced_once(stack: Stack, kind: str) -> None:
    """A socket on which nothing comes any more is replaced, once; the gap has about the length of the silence."""
    with Simulator("--keep-alive", "2", token=tracking.TOKEN) as simulator, x_chain(stack, simulator) as running:
        tracking.flood(running.settings, simulator)
        simulator.push(tracking.stream(5))
        simulator.fault(kind, wire="x")
        (old,) = simulator.connections("x")
        wait_replaced(simulator, old, kind)
        simulator.push(tracking.stream(5, 5))
        due = tracking.due(simulator, running.settings, "flood")
        tracking.wait_stored(running.settings, "flood", due)
        (gap,) = gaps(running, 1).gaps
        assert "no sign of life" in gap.why
        assert len(simulator.state()["past"]) == 1


@scenarios.add
def silence_without_keep_alives_is_a_dead_socket(stack: Stack) -> None:
    replaced_once(stack, "silence")


@scenarios.add
def a_half_open_socket_is_replaced(stack: Stack) -> None:
    replaced_once(stack, "half_open")


@scenarios.add
def a_slow_drip_is_no_sign_of_life(stack: Stack) -> None:
    with Simulator("--keep-alive", "2", token=tracking.TOKEN) as simulator, x_chain(stack, simulator) as running:
        tracking.flood(running.settings, simulator)
        simulator.fault("slow_drip", wire="x", interval=1)
        simulator.push(tracking.stream(1))
        (old,) = simulator.connections("x")
        wait_replaced(simulator, old, "slow_drip")
        simulator.push(tracking.stream(5, 5))
        until(lambda: len(tracking.stored(running.settings, "flood")) >= 5, "the posts after it are stored")
        gaps(running, 1)


@scenarios.add
def a_cut_in_mid_line_and_a_clean_end_cost_a_moment(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator) as running:
        tracking.flood(running.settings, simulator)
        simulator.push(tracking.stream(5, 90))
        tracking.wait_stored(running.settings, "flood", tracking.due(simulator, running.settings, "flood"))
        for number, kind in enumerate(("cut", "end", "disconnect")):
            (old,) = simulator.connections("x")
            simulator.fault(kind, wire="x")
            simulator.push(tracking.stream(10, 10 * number))
            wait_replaced(simulator, old, kind, 30)
            # Each connection is heard: two without anything between would leave one gap.
            simulator.push(tracking.stream(5, 50 + 10 * number))
            tracking.wait_stored(running.settings, "flood", tracking.due(simulator, running.settings, "flood"))
        heard = gaps(running, 3)
        assert all(gap.why for gap in heard.gaps)
        dead = topics.dead_letters(running.settings)
        assert dead == {}, "half a line is no message"


@scenarios.add
def a_server_that_refuses_is_asked_again_and_said_to_refuse(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator) as running:
        tracking.flood(running.settings, simulator)
        simulator.fault("status", wire="x", status=503, count=1)
        simulator.fault("end", wire="x")
        until(lambda: tracking.state(running.settings) == "waiting", "it says that it waits", pause=0.3)
        simulator.wait(lambda state: len(state["connections"]) == 1, "connected again", 30)
        simulator.push(tracking.stream(5))
        tracking.wait_stored(running.settings, "flood", tracking.due(simulator, running.settings, "flood"))
        gaps(running, 1)


@scenarios.add
def too_many_connections_are_healed(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator) as running:
        tracking.flood(running.settings, simulator)
        simulator.fault("too_many_connections", wire="x", count=1)
        simulator.fault("end", wire="x")
        simulator.wait(lambda state: len(state["past"]) == 1 and len(state["connections"]) == 1, "connected again", 60)
        simulator.push(tracking.stream(5))
        tracking.wait_stored(running.settings, "flood", tracking.due(simulator, running.settings, "flood"))


@scenarios.add
def duplicates_long_lines_and_broken_lines_do_no_harm(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator) as running:
        settings = running.settings
        tracking.flood(settings, simulator)
        simulator.fault("duplicates", wire="x", count=10)
        simulator.push(tracking.stream(10))
        simulator.fault("malformed", wire="x")
        simulator.fault("long_line", wire="x")
        simulator.push(tracking.stream(10, 10))
        tracking.wait_stored(settings, "flood", tracking.due(simulator, settings, "flood"))
        until(lambda: [one.duplicates for one in tracking.ledger(settings)[0]] == [10], "they are counted")
        assert running.intake().posts == 20, "none came twice to Kafka"
        assert len(topics.dead_letters(settings)) == 1
        assert tracking.heard(settings, "flood").gaps == []


@scenarios.add
def limit_notices_are_written_down_as_what_was_withheld_since_the_last(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator, sources="x-v1") as running:
        tracking.flood(running.settings, simulator, "v1")
        for number, count in enumerate((7, 5)):
            simulator.fault("limit", wire="v1", count=count)
            simulator.push([tracking.status(20 * number + at, "the rotwasser rises") for at in range(20)])
        sent = {entry["id"] for entry in simulator.log(what="post") if entry["wire"] == "v1" and entry["sent"]}
        assert len(sent) == 28
        tracking.wait_stored(running.settings, "flood", sent)
        until(lambda: tracking.heard(running.settings, "flood").withheld == 12, "7 and 5 were withheld")


@scenarios.add
def whatever_breaks_at_bluesky_is_made_good_by_the_cursor(stack: Stack) -> None:
    with Simulator() as simulator, chain(stack, "all", **tracking.bluesky(simulator)) as running:
        settings = running.settings
        tracking.flood(settings, simulator, "jetstream")
        pushed = 0
        for kind in ("cut", "end", "disconnect", "half_open"):
            (old,) = simulator.connections("jetstream")
            simulator.push([tracking.skeet(pushed + at, f"the rotwasser rises {pushed + at}") for at in range(10)])
            until(lambda due=pushed + 10: len(tracking.stored(settings, "flood")) == due, f"before {kind}")
            simulator.fault(kind, wire="jetstream")
            simulator.push([tracking.skeet(pushed + at, f"the rotwasser rises {pushed + at}") for at in range(10, 20)])
            pushed += 20
            wait_replaced(simulator, old, kind)
            until(lambda due=pushed: len(tracking.stored(settings, "flood")) == due, f"after {kind}")
        assert tracking.heard(settings, "flood").gaps == []
        assert topics.dead_letters(settings) == {}


@scenarios.add
def a_newer_connection_at_the_old_wire_is_told_apart(stack: Stack) -> None:
    """v1.1's code 7: somebody else has connected with the same account."""
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator, sources="x-v1") as running:
        tracking.flood(running.settings, simulator, "v1")
        simulator.push([tracking.status(1, "the rotwasser rises")])
        until(lambda: len(tracking.stored(running.settings, "flood")) == 1, "it is at work")
        simulator.fault("disconnect", wire="v1", code=7)
        until(lambda: "code 7" in tracking.ledger(running.settings)[1][0].words, "it says so", pause=0.05)
        simulator.wait(lambda state: state["past"] and state["connections"], "connected again")
        simulator.push([tracking.status(2, "the rotwasser rises again")])
        until(lambda: len(tracking.stored(running.settings, "flood")) == 2, "it goes on")
        (gap,) = gaps(running, 1).gaps
        assert "code 7" in gap.why


@scenarios.add
def a_rate_limit_is_waited_for(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator) as running:
        tracking.flood(running.settings, simulator)
        simulator.fault("status", wire="x", status=429, count=1)
        simulator.fault("end", wire="x")
        until(lambda: tracking.state(running.settings) == "waiting", "it says that it waits", pause=0.3)
        (status,) = tracking.ledger(running.settings)[1]
        assert "429" in status.words
        assert simulator.connections("x") == []


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
