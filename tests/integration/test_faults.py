"""Each fault that a source can have, and what stands in Cassandra and in the ledger after it."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from app.domain.coverage import SourceStatus
from app.domain.heard import Gap
from app.domain.reasons import NOT_YET
from app.domain.watchdog import Volumes
from app.local.stack import Stack
from app.topics import COVERAGE
from tests.support import topics, tracking
from tests.support.chain import Chain, chain
from tests.support.patched import starling_with
from tests.support.place import place
from tests.support.simulator import Simulator
from tests.support.together import Running, Together
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import worker

scenarios = Together(at_once=6)
DEAD = "dead socket: no sign of life for 25 s"
ENDED = "X closed the connection"
# A minute is documented and what unit tests hold to; doubled it would be two.
HASTY = starling_with("""
    from app.domain import backoff

    backoff._RULES[backoff.Trouble.RATE] = backoff._Rule(first=6, most=900)
""")


def gaps_now(running: Chain) -> list[Gap]:
    """What was not heard, but for the time that a busy machine takes to connect for the first time."""
    return [gap for gap in tracking.heard(running.settings, "flood").gaps if gap.why != NOT_YET]


def gaps(running: Chain, count: int) -> list[Gap]:
    """The gaps, once there are so many and all are over."""

    def found() -> list[Gap] | None:
        now = gaps_now(running)
        return now if [gap.goes_on for gap in now] == [False] * count else None

    return until(found, f"{count} gaps", 60, pause=0.5)


def whys(gap: Gap) -> list[str]:
    return [reason.why for reason in gap.reasons]


def hear(running: Chain, simulator: Simulator, count: int, start: int = 0, wire: str = "x") -> None:
    """Have posts sent to who listens, and wait until exactly what was sent so far is stored."""
    posts = tracking.stream(count, start)
    if wire == "v1":
        posts = [tracking.status(number, "the rotwasser rises") for number in range(start, start + count)]
    simulator.push(posts)
    due = {one["id"] for one in simulator.log(what="post") if one["wire"] == wire and one["sent"]}
    tracking.wait_stored(running.settings, "flood", due)


def wait_changes(simulator: Simulator, wire: str, last: str) -> None:
    """Return once this is the last that became of a connection."""
    until(lambda: simulator.changes(wire)[-1:] == [last], f"{last} at {wire}", pause=0.05)


def wait_words(running: Chain, pattern: str) -> None:
    """Return once the status of the source says this."""

    def said() -> bool:
        _, statuses = tracking.ledger(running.settings)
        return any(re.search(pattern, one.words) for one in statuses)

    until(said, f"it says {pattern}", pause=0.05)


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
        assert gaps_now(running) == []


def replaced_once(stack: Stack, kind: str) -> list[str]:
    """A socket on which nothing comes any more is replaced, once; returns what became of the connections."""
    with Simulator("--keep-alive", "2", token=tracking.TOKEN) as simulator, x_chain(stack, simulator) as running:
        tracking.flood(running.settings, simulator)
        hear(running, simulator, 5)
        simulator.fault(kind, wire="x", **({"interval": 1} if kind == "slow_drip" else {}))
        simulator.push(tracking.stream(1, 5))
        (old,) = simulator.connections("x")
        wait_replaced(simulator, old, kind)
        hear(running, simulator, 5, 10)
        assert len(tracking.stored(running.settings, "flood")) == 10, "what was not sent is not there"
        (gap,) = gaps(running, 1)
        assert whys(gap) == [DEAD]
        assert topics.dead_letters(running.settings) == {}
        changes = simulator.changes("x")
        assert [change.split()[0] for change in changes] == ["connected", "ended", "connected"]
        return changes


@scenarios.add
def silence_without_keep_alives_is_a_dead_socket(stack: Stack) -> None:
    replaced_once(stack, "silence")


@scenarios.add
def a_half_open_socket_is_replaced(stack: Stack) -> None:
    """X does not notice our end of it: it would refuse the next connection as one too many."""
    assert replaced_once(stack, "half_open")[1] == "ended ended by the account"


@scenarios.add
def a_slow_drip_is_no_sign_of_life(stack: Stack) -> None:
    replaced_once(stack, "slow_drip")


@scenarios.add
def a_silence_that_the_older_wire_allows_is_left_alone(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator, sources="x-v1") as running:
        tracking.flood(running.settings, simulator, "v1")
        hear(running, simulator, 5, wire="v1")
        # Longer than at X, and with the time until the next sign of life shorter than 90 s.
        simulator.fault("silence", wire="v1", seconds=40)
        until(lambda: simulator.state()["connections"][0]["mood"] is None, "the silence is over", pause=1)
        hear(running, simulator, 5, 5, "v1")
        assert simulator.changes("v1") == ["connected"]
        assert gaps_now(running) == []


@scenarios.add
def a_source_that_sends_less_than_it_uses_to_is_said_to_be_blind(stack: Stack) -> None:
    volumes = Volumes(dict.fromkeys(range(24), 2.0))  # posts a second in each hour, as days of listening have taught
    learned = SourceStatus(source="x", state="idle", words="", since=0, at=0, volumes=volumes)
    with (
        Simulator("--keep-alive", "5", token=tracking.TOKEN) as simulator,
        place(stack, **tracking.x(simulator)) as settings,
    ):
        topics.send(settings, [Raw(msgspec.json.encode(learned), key=b"x", headers=())], COVERAGE)
        with worker(settings) as process:
            process.wait_ready()
            running = Chain(settings, {"all": process})
            tracking.flood(settings, simulator)
            hear(running, simulator, 5)
            simulator.fault("silence_with_keepalive", wire="x")
            simulator.push(tracking.stream(20, 5))
            until(lambda: tracking.state(settings) == "blind", "it is said to be blind", 100, pause=1)
            (status,) = tracking.ledger(settings)[1]
            assert re.search(r"no post for \d+ s, where about 1\d\d are usual", status.words), status.words
            assert 'starling_source_state{source="x",state="blind"} 1.0' in process.get("/metrics")[1]
            simulator.fault("clear", wire="x")
            hear(running, simulator, 5, 30)
            until(lambda: tracking.state(settings) == "listening", "it is not blind any more")
            assert len(tracking.stored(settings, "flood")) == 10
            assert simulator.changes("x") == ["connected"], "another connection would hear no more"
            assert gaps_now(running) == []


def ended_and_at_once_again(stack: Stack, sources: str, wire: str, said: dict[str, str]) -> None:
    """Each end of a connection costs a moment, and its reason stands in the ledger."""
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator, sources=sources) as running:
        tracking.flood(running.settings, simulator, wire)
        hear(running, simulator, 5, 0, wire)
        for number, kind in enumerate(said, 1):
            (old,) = simulator.connections(wire)
            simulator.fault(kind, wire=wire)
            if kind == "cut":
                hear(running, simulator, 1, 100 * number, wire)
            wait_replaced(simulator, old, kind, 30)
            # Each connection is heard: two without anything between would leave one gap.
            hear(running, simulator, 5, 100 * number + 50, wire)
        assert [whys(gap) for gap in gaps(running, len(said))] == [[why] for why in said.values()]
        assert len(tracking.stored(running.settings, "flood")) == 5 * (len(said) + 1)
        ends = [change for kind in said for change in (f"ended {kind}", "connected")]
        assert simulator.changes(wire) == ["connected", *ends]
        assert topics.dead_letters(running.settings) == {}, "half a line is no message"


@scenarios.add
def a_cut_in_mid_line_and_an_end_in_good_order_cost_a_moment(stack: Stack) -> None:
    operational = "X: This stream has been disconnected upstream for operational reasons."
    said = {"cut": "X broke off in the middle of a message", "end": ENDED, "disconnect": operational}
    ended_and_at_once_again(stack, "x", "x", said)


@scenarios.add
def the_same_at_the_older_wire(stack: Stack) -> None:
    name = "the v1.1 stream"
    said = {"cut": f"{name} broke off in the middle of a message", "end": f"{name} closed the connection"}
    ended_and_at_once_again(stack, "x-v1", "v1", said | {"disconnect": f"{name}: Shed load (code 12)"})


@scenarios.add
def a_server_that_refuses_is_asked_again_and_said_to_refuse(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator) as running:
        tracking.flood(running.settings, simulator)
        hear(running, simulator, 5)
        simulator.fault("status", wire="x", status=503, count=1)
        simulator.fault("end", wire="x")
        until(lambda: tracking.state(running.settings) == "waiting", "it says that it waits", pause=0.3)
        simulator.wait(lambda state: len(state["connections"]) == 1, "connected again", 30)
        hear(running, simulator, 5, 10)
        (gap,) = gaps(running, 1)
        assert whys(gap) == [ENDED, "X answered 503 for the stream: Service Unavailable"]
        assert simulator.changes("x") == ["connected", "ended end", "refused 503", "connected"]


def limited(stack: Stack, sources: str, wire: str, said: list[str]) -> None:
    """420, then 429 for as long as it is asked: what was said stands in the ledger, and it is asked seldom."""
    with (
        Simulator(token=tracking.TOKEN) as simulator,
        chain(stack, "all", commands={"all": HASTY}, **tracking.x(simulator, sources=sources)) as running,
    ):
        tracking.flood(running.settings, simulator, wire)
        hear(running, simulator, 5, 0, wire)
        simulator.fault("status", wire=wire, status=420)
        simulator.fault("status", wire=wire, status=429, count=1000)
        simulator.fault("end", wire=wire)
        wait_changes(simulator, wire, "refused 429")
        wait_words(running, r"429 .*\); tries again in 1\d s$")
        assert tracking.state(running.settings) == "waiting"
        hear(running, simulator, 3, 50, wire)
        simulator.fault("clear", wire=wire)
        simulator.wait_connected(wire)
        hear(running, simulator, 5, 100, wire)
        assert len(tracking.stored(running.settings, "flood")) == 10
        (gap,) = gaps(running, 1)
        assert whys(gap) == said
        assert simulator.changes(wire) == ["connected", "ended end", "refused 420", "refused 429", "connected"]


@scenarios.add
def a_rate_limit_is_waited_for(stack: Stack) -> None:
    asked = "X was asked too often for the stream"
    limited(stack, "x", "x", [ENDED, f"{asked} (420 Enhance Your Calm)", f"{asked} (429 Too Many Requests)"])


@scenarios.add
def a_rate_limit_of_the_older_wire_is_waited_for(stack: Stack) -> None:
    name = "the v1.1 stream"
    asked = f"X was asked too often for {name}"
    limited(
        stack,
        "x-v1",
        "v1",
        [f"{name} closed the connection", f"{asked} (420 Error 420)", f"{asked} (429 Error 429)"],
    )


@scenarios.add
def a_connection_that_another_process_has_left_is_ended_where_it_is_in_the_way(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator) as running:
        tracking.flood(running.settings, simulator)
        hear(running, simulator, 5)
        # While it waits for the third try, ten seconds, another process connects, and dies without X noticing.
        simulator.fault("status", wire="x", status=503, count=2)
        simulator.fault("end", wire="x")
        until(lambda: simulator.changes("x").count("refused 503") == 2, "it has tried twice", pause=0.05)
        stale = simulator.intrude("x")
        simulator.fault("half_open", wire="x")
        stale.close()
        hear(running, simulator, 3, 50)
        until(lambda: simulator.changes("x").count("connected") == 3, "connected again", pause=0.3)
        hear(running, simulator, 5, 100)
        assert len(tracking.stored(running.settings, "flood")) == 10
        (gap,) = gaps(running, 1)
        crowded = "X refuses a second connection of this account"
        assert whys(gap) == [
            ENDED,
            "X answered 503 for the stream: Service Unavailable",
            f"{crowded} (This stream is currently at the maximum allowed connection limit.)",
        ]
        assert simulator.changes("x") == [
            *("connected", "ended end", "refused 503", "refused 503"),
            *("connected", "refused 429", "ended ended by the account", "connected"),
        ]


@scenarios.add
def with_a_program_that_takes_its_place_it_does_not_fight(stack: Stack) -> None:
    """v1.1's code 7: who connects with the same account ends the connection of who was there."""
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator, sources="x-v1") as running:
        tracking.flood(running.settings, simulator, "v1")
        hear(running, simulator, 5, 0, "v1")
        why = "the v1.1 stream: another connection of this account has taken its place; Admin logout (code 7)"
        for number, wait in enumerate((r"[56]", r"1\d"), 1):
            with simulator.intrude("v1"):
                wait_words(running, rf"^{re.escape(why)}; tries again in {wait} s$")
                until(lambda n=number: simulator.changes("v1").count("connected") == 1 + 2 * n, "it is back", pause=0.3)
            hear(running, simulator, 5, 100 * number, "v1")
        assert len(tracking.stored(running.settings, "flood")) == 15
        assert [whys(gap) for gap in gaps(running, 2)] == [[why], [why]]
        assert simulator.changes("v1") == ["connected", *["ended evicted", "connected"] * 4]


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
        assert gaps_now(running) == []


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
        assert gaps_now(running) == []
        assert [one.ended for one in tracking.ledger(settings)[0]] == [
            "127.0.0.1: the connection broke off",
            "127.0.0.1: the server ended the connection (1000)",
            "ConsumerTooSlow: reader below floor rate",
            "127.0.0.1: no answer to a ping",
            None,
        ]
        assert simulator.changes("jetstream").count("connected") == 5
        assert topics.dead_letters(settings) == {}


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
