"""Each fault that a source can have, and what stands in Cassandra and in the ledger after it."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgspec
import pytest

from app.domain.coverage import SourceStatus
from app.domain.heard import Heard
from app.domain.watchdog import Volumes
from app.local.stack import Stack
from app.topics import COVERAGE
from tests.support import topics, tracking
from tests.support.chain import Chain, chain
from tests.support.simulator import Simulator
from tests.support.together import Running, Together
from tests.support.waiting import until
from tests.support.workers import worker

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


def ways(simulator: Simulator, wire: str = "x") -> list[tuple[str, str]]:
    """What the source's log tells of connections, in order: what happened, and why."""
    return [(one["change"], one["why"]) for one in simulator.log(what="connection") if one["wire"] == wire]


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


CONNECTED = ("connected", "")
STOOD_IN_THE_WAY = [CONNECTED, ("refused", "429"), ("ended", "ended by the account"), CONNECTED]


def replaced_once(stack: Stack, kind: str, connections: list[tuple[str, str]]) -> None:
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
        assert gap.reasons[0].why == "dead socket: no sign of life for 25 s"
        assert running.counted() == {"flood": len(due)}
        assert len(gap.reasons) == (2 if kind == "half_open" else 1)
        assert ways(simulator) == connections


@scenarios.add
def silence_without_keep_alives_is_a_dead_socket(stack: Stack) -> None:
    replaced_once(stack, "silence", [CONNECTED, ("ended", "closed by the client"), CONNECTED])


@scenarios.add
def a_half_open_socket_stays_in_the_way_until_it_is_ended_at_the_source(stack: Stack) -> None:
    """X counts it as connected, and refuses another (TooManyConnections)."""
    replaced_once(stack, "half_open", STOOD_IN_THE_WAY)


@scenarios.add
def a_slow_drip_is_no_sign_of_life(stack: Stack) -> None:
    with Simulator("--keep-alive", "2", token=tracking.TOKEN) as simulator, x_chain(stack, simulator) as running:
        tracking.flood(running.settings, simulator)
        simulator.fault("slow_drip", wire="x", interval=1)
        simulator.push(tracking.stream(1))
        (old,) = simulator.connections("x")
        wait_replaced(simulator, old, "slow_drip")
        simulator.push(tracking.stream(5, 5))
        tracking.wait_stored(running.settings, "flood", tracking.due(simulator, running.settings, "flood"))
        (gap,) = gaps(running, 1).gaps
        assert gap.reasons[0].why == "dead socket: no sign of life for 25 s"
        happened = [what for what, _ in ways(simulator)]
        assert (happened.count("connected"), happened.count("ended")) == (2, 1)
        assert topics.dead_letters(running.settings) == {}, "a part of a line is no message"


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
        assert [gap.why for gap in heard.gaps] == [
            "X broke off in the middle of a message",
            "X closed the connection",
            "X: This stream has been disconnected upstream for operational reasons.",
        ]
        assert [why for _, why in ways(simulator)] == ["", "cut", "", "end", "", "disconnect", ""]
        assert running.counted() == {"flood": len(tracking.stored(running.settings, "flood"))}
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
        (gap,) = gaps(running, 1).gaps
        assert [reason.why for reason in gap.reasons] == [
            "X closed the connection",
            "X answered 503 for the stream: Service Unavailable",
        ]
        assert ways(simulator) == [CONNECTED, ("ended", "end"), ("refused", "503"), CONNECTED]


@scenarios.add
def too_many_connections_are_healed(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator) as running:
        tracking.flood(running.settings, simulator)
        simulator.fault("too_many_connections", wire="x", count=2)
        simulator.fault("end", wire="x")
        until(lambda: "maximum allowed connection limit" in words(running), "it says so", pause=0.2)
        simulator.wait(lambda state: len(state["past"]) == 1 and len(state["connections"]) == 1, "connected again", 60)
        simulator.push(tracking.stream(5))
        tracking.wait_stored(running.settings, "flood", tracking.due(simulator, running.settings, "flood"))
        (gap,) = gaps(running, 1).gaps
        assert "maximum allowed connection limit" in gap.reasons[-1].why
        assert ways(simulator) == [CONNECTED, ("ended", "end"), ("refused", "429"), ("refused", "429"), CONNECTED]


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
def two_who_want_the_old_wire_do_not_fight_in_a_tight_loop(stack: Stack) -> None:
    """A second connection evicts the first there; a client that comes back at once would evict for ever."""
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator, sources="x-v1") as running:
        tracking.flood(running.settings, simulator, "v1")
        for times in (1, 2):
            before = running_connections(simulator)
            with foreign(simulator):
                until(lambda: "code 7" in words(running), "it says so", pause=0.05)
                simulator.wait(
                    lambda state, before=before: {one["id"] for one in state["connections"]} - before, "it comes back"
                )
            assert [what for what, _ in ways(simulator, "v1")].count("connected") == 1 + 2 * times
        simulator.push([tracking.status(1, "the rotwasser rises")])
        tracking.wait_stored(running.settings, "flood", {str(simulator.log(what="post")[-1]["id"])})
        assert all("code 7" in gap.why for gap in gaps(running, 2).gaps)


@contextmanager
def foreign(simulator: Simulator) -> Iterator[None]:
    """Another program that listens with the same account; it stays until it is evicted."""
    link = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=60)
    link.request("GET", "/1.1/statuses/filter.json?track=x", headers={"Authorization": f"Bearer {tracking.TOKEN}"})
    assert link.getresponse().status == 200
    yield
    link.close()


def running_connections(simulator: Simulator) -> set[str]:
    """Ids of all connections so far, but not of one that somebody else makes next."""
    state = simulator.state()
    return {one["id"] for one in (*state["connections"], *state["past"])}


def words(running: Chain) -> str:
    """How the only source is, in words."""
    _, statuses = tracking.ledger(running.settings)
    return statuses[0].words if statuses else ""


def rate_limited(stack: Stack, wire: str, status: int, push: Callable[[Simulator, int], None], **more: object) -> None:
    """A minute is waited, as X documents, and then it is asked once."""
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator, **more) as running:
        settings = running.settings
        tracking.flood(settings, simulator, wire)
        simulator.fault("status", wire=wire, status=status, count=1)
        simulator.fault("end", wire=wire)
        until(lambda: tracking.state(settings) == "waiting", "it says that it waits", pause=0.3)
        assert f"{status}" in words(running)
        push(simulator, 1)
        simulator.wait_connected(wire, seconds=120)
        push(simulator, 2)
        sent = {one["id"] for one in simulator.log(what="post") if one["wire"] == wire and one["sent"]}
        assert len(sent) == 1
        tracking.wait_stored(settings, "flood", sent)
        (gap,) = gaps(running, 1).gaps
        assert f"{status}" in gap.reasons[-1].why
        assert ways(simulator, wire) == [CONNECTED, ("ended", "end"), ("refused", f"{status}"), CONNECTED]
        missed = [one["at"] * 1000 for one in simulator.log(what="post") if one["wire"] == wire and not one["sent"]]
        assert all(gap.since <= at < gap.until for at in missed)
        assert len(missed) == 1


@scenarios.add
def a_rate_limit_is_waited_for(stack: Stack) -> None:
    def push(simulator: Simulator, number: int) -> None:
        simulator.push([tracking.post(number, "the rotwasser rises")])

    rate_limited(stack, "x", 429, push)


@scenarios.add
def a_rate_limit_of_the_old_wire_is_waited_for(stack: Stack) -> None:
    def push(simulator: Simulator, number: int) -> None:
        simulator.push([tracking.status(number, "the rotwasser rises")])

    rate_limited(stack, "v1", 420, push, sources="x-v1")


@scenarios.add
def what_the_plan_delivers_of_the_past_leaves_no_gap(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator, x_backfill_minutes=5) as running:
        settings = running.settings
        tracking.flood(settings, simulator)
        simulator.push(tracking.stream(5))
        simulator.fault("status", wire="x", status=503, count=1)
        simulator.fault("end", wire="x")
        until(lambda: tracking.state(settings) == "waiting", "it says that it waits", pause=0.3)
        simulator.push(tracking.stream(5, 5))
        simulator.wait_connected(seconds=60)
        simulator.push(tracking.stream(5, 10))
        due = tracking.due(simulator, settings, "flood")
        assert len(due) == 15
        tracking.wait_stored(settings, "flood", due)
        until(lambda: tracking.state(settings) == "listening", "it listens")
        until(lambda: tracking.heard(settings, "flood").gaps == [], "no gap is left")
        assert running.counted() == {"flood": 15}


@scenarios.add
def a_source_that_is_alive_and_sends_nothing_where_much_is_usual_is_called_blind_and_left_alone(stack: Stack) -> None:
    with Simulator() as simulator, chain(stack, "all", **tracking.bluesky(simulator, sources="none")) as running:
        usual = SourceStatus(
            source="bluesky",
            state="listening",
            words="as a tracker left it that has learned for days",
            since=1,
            at=1,
            volumes=Volumes(dict.fromkeys(range(24), 50.0)),
        )
        topics.send(running.settings, [topics.Raw(msgspec.json.encode(usual), None, b"bluesky", ())], COVERAGE)
        listening = running.settings.model_copy(update={"sources": "bluesky", "spool_dir": Path(mkdtemp())})
        with worker(listening, "tracker") as tracker:
            tracker.wait_ready()
            tracking.flood(running.settings, simulator, "jetstream")
            until(lambda: tracking.state(running.settings) == "blind", "it is called blind", 120, pause=0.5)
            assert "the source may be broken" in words(running)
            simulator.push([tracking.skeet(1, "the rotwasser rises")])
            until(lambda: tracking.state(running.settings) == "listening", "it is heard again")
            until(lambda: len(tracking.stored(running.settings, "flood")) == 1, "and stored")
            assert simulator.state()["past"] == [], "it was left alone"
            assert tracking.heard(running.settings, "flood").gaps == []


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
