"""Each fault that a source can have, and what stands in Cassandra and in the ledger after it."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp
from textwrap import dedent
from typing import Any

import msgspec
import pytest

from app.domain.coverage import LOST, Outage, SourceStatus, of_kind
from app.domain.events import Definition
from app.domain.heard import BLINK_MS, Gap
from app.domain.watchdog import Volumes
from app.local.stack import Stack
from app.schema import COVERAGE as COVERAGE_TABLE
from app.topics import COVERAGE, RAW
from app.tracking.spool import Spool
from tests.support import rows, topics, tracking
from tests.support.chain import Chain, chain
from tests.support.events import accepted, command
from tests.support.patched import kafka_by, starling_with
from tests.support.place import place
from tests.support.proxy import Proxy
from tests.support.simulator import Simulator
from tests.support.together import Running, Together
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import worker

scenarios = Together(at_once=7)  # those that wait for 90 s first
DEAD = "dead socket: no sign of life for {} s"
ENDED = "X closed the connection"
# Of a tracker whose spool is full: as small as the setting allows, and far less in memory.
MOST_SPOOLED = 16
LONG = 300 * 1024  # bytes that a long line has at least
LONG_LINE = 320_000  # bytes of one, at most
CRAMPED = """
    from app.tracking import outbox

    outbox.WAITING_BYTES = 1_000_000
"""
# What is on disk takes longer than to take over.
SLOW_TO_SEND = starling_with("""
    import asyncio
    from app.tracking.history import History

    unsent = History.unsent

    async def late(self, parcels):
        await asyncio.sleep(5)
        return await unsent(self, parcels)

    History.unsent = late
""")
# A minute is documented and what unit tests hold to; doubled it would be two.
# Each second on disk is a file of its own, and a file that cannot be read is soon given up.
MANY_FILES = """
    from app.tracking import outbox, spool

    spool.FILE_BYTES = 1
    outbox._READ_AGAIN_SECONDS = (2.0,) * 5
"""
HASTY = starling_with("""
    from app.domain import backoff

    backoff._RULES[backoff.Trouble.RATE] = backoff._Rule(first=10, most=900)
""")


def gaps_now(running: Chain) -> list[Gap]:
    return tracking.gaps(running.settings)


def gaps(running: Chain, count: int) -> list[Gap]:
    """The gaps, once there are so many and all are over."""

    def found() -> list[Gap] | None:
        now = gaps_now(running)
        return now if [gap.goes_on for gap in now] == [False] * count else None

    return until(found, f"{count} gaps", 60, pause=0.5)


def whys(gap: Gap) -> list[str]:
    return [reason.why for reason in gap.reasons]


def posts_of(wire: str, count: int, start: int = 0) -> list[dict[str, Any]]:
    """Posts that belong to the event of these tests."""
    make = {"x": tracking.post, "v1": tracking.status, "jetstream": tracking.skeet}[wire]
    return [make(number, f"the rotwasser rises, post {number}") for number in range(start, start + count)]


def hear(running: Chain, simulator: Simulator, count: int, start: int = 0, wire: str = "x") -> None:
    """Have posts sent to who listens, and wait until exactly what was sent so far is stored."""
    simulator.push(posts_of(wire, count, start))
    due = {one["id"] for one in simulator.log(what="post") if one["wire"] == wire and one["sent"]}
    tracking.wait_stored(running.settings, "flood", due)


def wait_changes(simulator: Simulator, wire: str, last: str) -> None:
    """Return once this is the last that became of a connection."""
    until(lambda: simulator.changes(wire)[-1:] == [last], f"{last} at {wire}", pause=0.05)


def wait_words(running: Chain, pattern: str) -> str:
    """Return once the status of the source has said this, and as which state."""

    def said() -> str | None:
        found = (one.state for one in tracking.told(running.settings) if re.search(pattern, one.words))
        return next(found, None)

    return until(said, f"it says {pattern}", pause=0.05) or ""


def wait_replaced(simulator: Simulator, old: dict[str, Any], kind: str, seconds: float = 60) -> None:
    """Return once another connection is there instead of this one."""

    def replaced(state: dict[str, Any]) -> bool:
        now = [one["id"] for one in state["connections"] if one["wire"] == old["wire"]]
        return now not in ([], [old["id"]])

    simulator.wait(replaced, f"another connection after {kind}", seconds)


def x_chain(stack: Stack, simulator: Simulator, **more: object):  # type: ignore[no-untyped-def] # noqa: ANN201
    return chain(stack, "all", **tracking.x(simulator, **more))


def left_alone_for_90_s(stack: Stack, sources: str, wire: str) -> None:
    """No post comes, but signs of life do: it stays connected, and hears what comes then."""
    with (
        Simulator("--keep-alive", "5", token=tracking.TOKEN) as simulator,
        x_chain(stack, simulator, sources=sources, bluesky_url=simulator.ws_url) as running,
    ):
        settings = running.settings
        tracking.flood(settings, simulator, wire)
        simulator.push(posts_of(wire, 5))
        until(lambda: len(tracking.stored(settings, "flood")) == 5, "all are stored")
        simulator.fault("silence_with_keepalive", wire=wire, seconds=90)
        until(lambda: tracking.state(settings) == "quiet", "it is said to be quiet", 100, pause=1)
        until(lambda: simulator.connections(wire)[0]["mood"] is None, "the silence is over", 100, pause=1)
        simulator.push(posts_of(wire, 5, 5))
        until(lambda: len(tracking.stored(settings, "flood")) == 10, "all are stored")
        assert simulator.changes(wire) == ["connected"]
        assert gaps_now(running) == []


@scenarios.add
def ninety_seconds_of_silence_with_keep_alives_at_x_are_no_reason_to_reconnect(stack: Stack) -> None:
    left_alone_for_90_s(stack, "x", "x")


@scenarios.add
def ninety_seconds_of_silence_with_keep_alives_at_the_older_wire_are_no_reason_to_reconnect(stack: Stack) -> None:
    left_alone_for_90_s(stack, "x-v1", "v1")


@scenarios.add
def ninety_seconds_of_silence_with_answered_pings_at_bluesky_are_no_reason_to_reconnect(stack: Stack) -> None:
    left_alone_for_90_s(stack, "bluesky", "jetstream")


def replaced_once(stack: Stack, kind: str, sources: str = "x", wire: str = "x", silent: int = 25) -> list[str]:
    """A socket on which nothing comes any more is replaced, once; returns what became of the connections."""
    with (
        Simulator("--keep-alive", "2", token=tracking.TOKEN) as simulator,
        x_chain(stack, simulator, sources=sources) as running,
    ):
        tracking.flood(running.settings, simulator, wire)
        hear(running, simulator, 5, 0, wire)
        simulator.fault(kind, wire=wire, **({"interval": 1} if kind == "slow_drip" else {}))
        simulator.push(posts_of(wire, 1, 5))
        (old,) = simulator.connections(wire)
        wait_replaced(simulator, old, kind, silent + 60)
        hear(running, simulator, 5, 10, wire)
        assert len(tracking.stored(running.settings, "flood")) == 10, "what was not sent is not there"
        (gap,) = gaps(running, 1)
        assert whys(gap) == [DEAD.format(silent)]
        assert gap.until - gap.since >= silent * 1000
        assert topics.dead_letters(running.settings) == {}
        changes = simulator.changes(wire)
        assert [change.split()[0] for change in changes] == ["connected", "ended", "connected"]
        return changes


@scenarios.add
def ninety_seconds_of_silence_without_keep_alives_at_the_older_wire_are_one_reconnect(stack: Stack) -> None:
    replaced_once(stack, "silence", "x-v1", "v1", 90)


@scenarios.add
def silence_without_keep_alives_at_x_is_one_reconnect(stack: Stack) -> None:
    replaced_once(stack, "silence")


@scenarios.add
def a_half_open_socket_is_replaced(stack: Stack) -> None:
    """X does not notice our end of it: it would refuse the next connection as one too many."""
    assert replaced_once(stack, "half_open")[1] == "ended ended by the account"


@scenarios.add
def a_slow_drip_is_no_sign_of_life(stack: Stack) -> None:
    replaced_once(stack, "slow_drip")


@scenarios.add
def a_half_open_socket_of_the_older_wire_is_replaced(stack: Stack) -> None:
    assert replaced_once(stack, "half_open", "x-v1", "v1", 90)[1] == "ended evicted"


@scenarios.add
def a_slow_drip_of_the_older_wire_is_no_sign_of_life(stack: Stack) -> None:
    replaced_once(stack, "slow_drip", "x-v1", "v1", 90)


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


@contextmanager
def away_from_bluesky(stack: Stack, fault: str) -> Iterator[tuple[Chain, Simulator, int]]:
    """A tracker that was killed is back, with something wrong at the server, whose connections live.

    Ten posts were heard before, and ten came meanwhile. Gives also up to when it was heard.
    """
    with (
        Simulator("--keep-alive", "2") as simulator,
        chain(stack, "manager", "worker", **tracking.bluesky(simulator)) as rest,
        worker(rest.settings, "tracker") as tracker,
    ):
        settings = rest.settings
        tracker.wait_ready()
        tracking.flood(settings, simulator, "jetstream")
        simulator.push(posts_of("jetstream", 10))
        until(lambda: tracking.heard(settings, "flood").posts == 10, "the ledger has them")
        tracker.kill()
        simulator.wait(lambda state: not state["connections"], "nobody listens")
        simulator.push(posts_of("jetstream", 10, 10))
        simulator.fault(fault, wire="jetstream", later=True)
        tracker.restart()
        simulator.wait_connected("jetstream", 60)
        until(lambda: len(tracking.ledger(settings)[0]) == 3, f"another connection after {fault}", 150, pause=0.5)
        intervals, _ = tracking.ledger(settings)
        heard = intervals[0].until
        assert {(one.since, one.until, one.behind) for one in intervals[1:]} == {(heard, heard, True)}
        assert intervals[1].ended == "nothing of the past has come for 60 s, though the connection lives"
        assert len(tracking.stored(settings, "flood")) == 10
        yield rest, simulator, heard


@scenarios.add
def a_replay_of_bluesky_that_stalls_is_not_heard_before_it_comes(stack: Stack) -> None:
    with away_from_bluesky(stack, "stall") as (running, simulator, heard):
        (gap,) = [gap for gap in gaps_now(running) if gap.until > heard]
        assert (gap.since, gap.goes_on) == (heard, True)
        simulator.fault("clear", wire="jetstream")
        simulator.push(posts_of("jetstream", 5, 20))
        until(lambda: len(tracking.stored(running.settings, "flood")) == 25, "all are stored")
        until(lambda: gaps_now(running) == [], "and nothing is missing")


@scenarios.add
def a_past_that_bluesky_turns_out_to_have_no_more_is_a_gap_though_it_was_asked_for(stack: Stack) -> None:
    with away_from_bluesky(stack, "silence_with_keepalive") as (running, simulator, heard):
        simulator.fault("clear", wire="jetstream")
        came = int(time.time() * 1000)
        simulator.push(posts_of("jetstream", 5, 20))
        until(lambda: len(tracking.stored(running.settings, "flood")) == 15, "all that came are stored")
        (gap,) = gaps(running, 1)
        assert (gap.since, len(gap.reasons) > 0) == (heard, True)
        assert gap.until >= came


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
        intervals = until(
            lambda: len(one := tracking.ledger(running.settings)[0]) == len(said) + 1 and one, "each is written down"
        )
        assert [one.ended for one in intervals] == [*said.values(), None]
        # A machine with nothing else to do may be back within the time that is no gap.
        due = [[one.ended] for one, after in pairwise(intervals) if after.since - one.until > BLINK_MS]
        until(lambda: [whys(gap) for gap in gaps_now(running)] == due, "each is a gap, and says why")
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


def refused_once(stack: Stack, sources: str, wire: str, said: list[str]) -> None:
    """The server is asked again, and what it said stands in the ledger."""
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator, sources=sources) as running:
        tracking.flood(running.settings, simulator, wire)
        hear(running, simulator, 5, 0, wire)
        simulator.fault("status", wire=wire, status=503, count=1)
        simulator.fault("end", wire=wire)
        wait_changes(simulator, wire, "connected")
        assert wait_words(running, "503") == "waiting"
        hear(running, simulator, 5, 10, wire)
        (gap,) = gaps(running, 1)
        assert whys(gap) == said
        assert simulator.changes(wire) == ["connected", "ended end", "refused 503", "connected"]


@scenarios.add
def a_server_that_refuses_is_asked_again_and_said_to_refuse(stack: Stack) -> None:
    refused_once(stack, "x", "x", [ENDED, "X answered 503 for the stream: Service Unavailable"])


@scenarios.add
def a_server_of_the_older_wire_that_refuses_is_asked_again_and_said_to_refuse(stack: Stack) -> None:
    name = "the v1.1 stream"
    refused_once(stack, "x-v1", "v1", [f"{name} closed the connection", f"X answered 503 for {name}: Error 503"])


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
        assert wait_words(running, r"429 .*\); tries again in 2\d s$") == "waiting"
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
def what_stands_at_x_is_heard_on_while_it_does_not_answer_for_its_rules(stack: Stack) -> None:
    with (
        Simulator("--keep-alive", "2", token=tracking.TOKEN) as simulator,
        chain(stack, "all", commands={"all": HASTY}, **tracking.x(simulator)) as running,
    ):
        settings = running.settings
        tracking.flood(settings, simulator)
        hear(running, simulator, 5)
        simulator.fault("rules_status", status=429, retry_after=15, count=1000)
        simulator.fault("end", wire="x")
        until(lambda: simulator.changes("x").count("connected") == 2, "connected again", pause=0.3)
        hear(running, simulator, 5, 10)
        keywords = Definition(keywords=("rotwasser", "blauwasser"))
        accepted(settings, command("edit", "flood", definition=keywords))
        said = "what was changed last is not asked for yet: X was asked too often for its rules (429 Too Many Requests)"
        (late,) = until(lambda: tracking.heard(settings, "flood").without, "the ledger says what is not asked for")
        assert (late.what, late.goes_on) == (said, True)
        simulator.push([tracking.post(50, "the blauwasser rises")])
        hear(running, simulator, 5, 100)
        assert len(tracking.stored(settings, "flood")) == 15, "what was not asked for is not there"
        simulator.fault("clear", wire="x")
        until(lambda: "blauwasser" in simulator.rules()[-1]["value"], "the edit is taken")
        simulator.push([tracking.post(60, "the blauwasser falls")])
        hear(running, simulator, 5, 200)
        assert len(tracking.stored(settings, "flood")) == 21
        until(lambda: not tracking.heard(settings, "flood").without[0].goes_on, "and the ledger says so")
        assert all(whys(gap) == [ENDED] for gap in gaps_now(running)), "but for a moment it was heard all along"
        assert simulator.changes("x") == ["connected", "ended end", "connected"]
        (refused,) = until(
            lambda: [
                one
                for row in rows.query(settings, rows.EVERYTHING + COVERAGE_TABLE)
                for one in json.loads(row["refused"])
                if one["until"] is not None
            ],
            "it stands in Cassandra",
        )
        assert (refused["code"], refused["what"]) == ("flood", [said])


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
def with_a_program_that_takes_its_place_unseen_it_does_not_fight(stack: Stack) -> None:
    """Where X ends the older connection and does not say that it is for a newer one: back at once, and then seldom."""
    with Simulator("--evict", token=tracking.TOKEN) as simulator, x_chain(stack, simulator) as running:
        tracking.flood(running.settings, simulator)
        hear(running, simulator, 5)
        why = "X: This stream has been disconnected upstream for operational reasons."
        for number, wait in enumerate((None, r"[56]", r"1\d"), 1):
            with simulator.intrude("x"):
                if wait is not None:
                    wait_words(running, rf"^{re.escape(why)}; tries again in {wait} s$")
                until(lambda n=number: simulator.changes("x").count("connected") == 1 + 2 * n, "it is back", pause=0.3)
            hear(running, simulator, 5, 100 * number)
        assert len(tracking.stored(running.settings, "flood")) == 20
        ends = until(
            lambda: len(one := [one.ended for one in tracking.ledger(running.settings)[0]]) == 4 and one, "all are told"
        )
        assert ends == [why, why, why, None]
        until(lambda: not any(gap.goes_on for gap in gaps_now(running)), "each gap is over")
        # The first, back at once, may be too short for one.
        assert [whys(gap) for gap in gaps_now(running)][-2:] == [[why], [why]]
        assert simulator.changes("x") == ["connected", *["ended evicted", "connected"] * 6]


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


def odd_lines_do_no_harm(stack: Stack, sources: str, wire: str) -> None:
    """What comes twice is dropped, a line of 300 KB is a post like any other, a broken one is a dead letter."""
    with (
        Simulator(token=tracking.TOKEN) as simulator,
        x_chain(stack, simulator, sources=sources, bluesky_url=simulator.ws_url) as running,
    ):
        settings = running.settings
        tracking.flood(settings, simulator, wire)
        simulator.fault("duplicates", wire=wire, count=10)
        simulator.push(posts_of(wire, 10))
        simulator.fault("malformed", wire=wire)
        simulator.fault("long_line", wire=wire)
        hear(running, simulator, 10, 10, wire)
        assert len(tracking.stored(settings, "flood")) == 20
        until(lambda: [one.duplicates for one in tracking.ledger(settings)[0]] == [10], "they are counted")
        assert running.intake().posts == 20, "none came twice to Kafka"
        assert len(topics.dead_letters(settings)) == 1
        sizes = [len(line) for record in topics.read(settings, RAW) for line in record.value.split(b"\n")]
        assert [size > LONG for size in sorted(sizes)[-2:]] == [False, True]
        assert simulator.changes(wire) == ["connected"]
        assert gaps_now(running) == []


@scenarios.add
def duplicates_long_lines_and_broken_lines_do_no_harm(stack: Stack) -> None:
    odd_lines_do_no_harm(stack, "x", "x")


@scenarios.add
def nor_do_they_at_the_older_wire(stack: Stack) -> None:
    odd_lines_do_no_harm(stack, "x-v1", "v1")


@scenarios.add
def nor_do_they_at_bluesky(stack: Stack) -> None:
    odd_lines_do_no_harm(stack, "bluesky", "jetstream")


def withheld_is_added_up(stack: Stack, sources: str, wire: str) -> None:
    """Each notice has the sum since its connection began; what is withheld while nobody listens nobody tells."""

    def withheld(name: str, value: int, start: int) -> None:
        simulator.fault("limit", wire=wire, count=value)
        hear(running, simulator, 20, start, wire)
        told.append(value)
        until(lambda: tracking.heard(running.settings, "flood").withheld == sum(told), f"{name} were withheld")

    told: list[int] = []
    with Simulator(token=tracking.TOKEN) as simulator, x_chain(stack, simulator, sources=sources) as running:
        tracking.flood(running.settings, simulator, wire)
        withheld("7", 7, 0)
        withheld("5 more", 5, 20)
        (old,) = simulator.connections(wire)
        simulator.fault("end", wire=wire)
        wait_replaced(simulator, old, "end")
        withheld("by the next connection 14", 14, 40)
        withheld("and 3 more", 3, 60)
        assert len(tracking.stored(running.settings, "flood")) == 80 - sum(told)

        def stored() -> list[tuple[int, int]]:
            found = rows.query(running.settings, rows.EVERYTHING + COVERAGE_TABLE)
            found.sort(key=lambda row: row["opened"])
            return [(row["withheld"], sum(one["posts"] for one in json.loads(row["withheld_at"]))) for row in found]

        until(lambda: stored() == [(12, 12), (17, 17)], "it stands in Cassandra, by connection")


@scenarios.add
def limit_notices_of_two_connections_are_written_down_as_what_was_withheld_since_the_last(stack: Stack) -> None:
    withheld_is_added_up(stack, "x-v1", "v1")


@scenarios.add
def limit_notices_at_x_are_written_down_so_too(stack: Stack) -> None:
    withheld_is_added_up(stack, "x", "x")


def sent_by(simulator: Simulator) -> list[list[str]]:
    """Ids of the posts that X has sent, in order, for each connection."""
    found: dict[str, list[str]] = {}
    for one in simulator.log(what="post"):
        if one["wire"] == "x" and one["sent"]:
            found.setdefault(one["connection"], []).append(one["id"])
    return list(found.values())


@scenarios.add
def a_full_spool_ends_the_connection_and_is_one_gap(stack: Stack) -> None:
    """Kafka is away for the tracker, until the disk takes no more either: what was heard before it is all kept."""
    with (
        Simulator("--keep-alive", "2", token=tracking.TOKEN) as simulator,
        chain(stack, "manager", "worker", **tracking.x(simulator, spool_dir=mkdtemp(prefix="spool-"))) as rest,
        Proxy(rest.settings.kafka) as way,
    ):
        cramped = rest.settings.model_copy(update={"kafka": way.address, "spool_megabytes": MOST_SPOOLED})
        with worker(cramped, "tracker", starling_with(kafka_by(way) + dedent(CRAMPED))) as tracker:
            tracker.wait_ready()
            tracking.flood(rest.settings, simulator)
            hear(rest, simulator, 5)
            way.cut()
            simulator.fault("long_line", wire="x", count=100)
            simulator.push(tracking.stream(100, 100), rate=10)
            simulator.wait(lambda state: not state["connections"], "it does not listen any more", 60)
            tracking.wait_risen(simulator, 105)
            way.mend()
            simulator.wait_connected(seconds=90)
            simulator.push(tracking.stream(5, 300))
            (gap,) = gaps(rest, 1)
            full = rf"the spool in \S+ holds [\d,]+ bytes, {MOST_SPOOLED},000,000 at most"
            assert [re.fullmatch(full, why) is not None for why in whys(gap)] == [True], whys(gap)
            before, after = sent_by(simulator)
            until(lambda: tracking.stored(rest.settings, "flood") >= set(after), "all after it is stored", 120, pause=1)
            rest.settle()
            stored = tracking.stored(rest.settings, "flood")
            # What lay in the socket when it was closed was sent, and is no less missed than what comes then.
            kept = [number for number in before if number in stored]
            assert kept == before[: len(kept)], "all before it is stored"
            assert len(kept) > MOST_SPOOLED * 1_000_000 // LONG_LINE, "all that the disk has taken"
            assert stored == {*kept, *after}
            assert rest.intake().posts == len(stored), "none came twice to Kafka"
            tracking.check_order(rest.settings, simulator)
            assert simulator.changes("x") == ["connected", "ended closed by the client", "connected"]


@scenarios.add
def a_bluesky_tracker_that_is_restarted_while_kafka_is_away_sends_nothing_twice(stack: Stack) -> None:
    spool = Path(mkdtemp(prefix="spool-"))
    with (
        Simulator() as simulator,
        chain(stack, "manager", "worker", **tracking.bluesky(simulator, spool_dir=str(spool))) as rest,
        Proxy(rest.settings.kafka) as way,
    ):
        settings = rest.settings
        apart = settings.model_copy(update={"kafka": way.address})
        with worker(apart, "tracker", starling_with(kafka_by(way))) as tracker:
            tracker.wait_ready()
            tracking.flood(settings, simulator, "jetstream")
            simulator.push(posts_of("jetstream", 5))
            until(lambda: len(tracking.stored(settings, "flood")) == 5, "all are stored")
            way.cut()
            simulator.push(posts_of("jetstream", 20, 5))
            until(lambda: any(spool.rglob("*.spool")), "posts are on disk")
            tracker.process.terminate()
            tracker.process.wait(180)
            way.mend()
            tracker.restart(SLOW_TO_SEND)
            tracker.wait_ready()
            simulator.wait_connected("jetstream", 60)
            simulator.push(posts_of("jetstream", 5, 25))
            until(lambda: len(tracking.stored(settings, "flood")) == 30, "all are stored", 60)
            rest.settle()
            assert rest.intake().posts == 30, "none came twice to Kafka"
            assert gaps_now(rest) == []
            assert not any(spool.rglob("*.spool"))


@scenarios.add
def what_was_paid_for_while_kafka_was_away_is_counted_by_who_takes_over(stack: Stack) -> None:
    spool = Path(mkdtemp(prefix="spool-"))
    with (
        Simulator("--keep-alive", "2", token=tracking.TOKEN) as simulator,
        chain(stack, "manager", "worker", **tracking.x(simulator, spool_dir=str(spool), x_reads_hard=30)) as rest,
        Proxy(rest.settings.kafka) as way,
    ):
        apart = rest.settings.model_copy(update={"kafka": way.address})
        with worker(apart, "tracker", starling_with(kafka_by(way))) as tracker:
            tracker.wait_ready()
            tracking.flood(rest.settings, simulator)
            hear(rest, simulator, 5)
            way.cut()
            simulator.push(tracking.stream(20, 5))
            until(lambda: sum(map(posts_on_disk, spool.rglob("*.spool"))) == 20, "posts are on disk")
            tracker.process.terminate()
            tracker.process.wait(180)
            way.mend()
            tracker.restart(SLOW_TO_SEND)
            wait_words(rest, "; 25 posts read in")
            simulator.push(tracking.stream(5, 25))
            wait_words(rest, "^budget: 30 posts read in")
            tracking.wait_stored(rest.settings, "flood", tracking.due(simulator, rest.settings, "flood"))


def posts_on_disk(file: Path) -> int:
    directory = Path(mkdtemp(prefix="copy-"))
    shutil.copy(file, directory)
    return sum(parcel.posts for parcel in Spool(directory, 10**9).first() if parcel.topic == RAW.name)


@scenarios.add
def a_file_of_the_spool_that_cannot_be_read_is_told_and_is_a_gap_and_all_others_are_sent(stack: Stack) -> None:
    spool = Path(mkdtemp(prefix="spool-"))
    with (
        Simulator() as simulator,
        chain(stack, "manager", "worker", **tracking.bluesky(simulator, spool_dir=str(spool))) as rest,
        Proxy(rest.settings.kafka) as way,
    ):
        settings = rest.settings
        apart = settings.model_copy(update={"kafka": way.address})
        with worker(apart, "tracker", starling_with(kafka_by(way) + dedent(MANY_FILES))) as tracker:
            tracker.wait_ready()
            tracking.flood(settings, simulator, "jetstream")
            simulator.push(posts_of("jetstream", 5))
            until(lambda: len(tracking.stored(settings, "flood")) == 5, "all are stored")
            way.cut()
            for start in (5, 15, 25):
                simulator.push(posts_of("jetstream", 10, start))
                due = start + 5
                until(lambda due=due: sum(map(posts_on_disk, spool.rglob("*.spool"))) == due, f"{due} are on disk", 60)
            tracker.process.terminate()
            tracker.process.wait(180)
            _, file, *_ = [file for file in sorted(spool.rglob("*.spool")) if posts_on_disk(file)]
            lost = posts_on_disk(file)
            file.unlink()
            file.mkdir()  # what is no file cannot be read as one, by root neither
            way.mend()
            tracker.restart(starling_with(MANY_FILES))
            tracker.wait_ready()
            wait_words(rest, r"^a file of what was kept on disk cannot be read \(is a directory\)")
            simulator.wait_connected("jetstream", 90)
            simulator.push(posts_of("jetstream", 5, 35))
            until(lambda: len(tracking.stored(settings, "flood")) == 40 - lost, "all others are stored", 60)
            (gap,) = gaps(rest, 1)
            assert whys(gap) == [LOST]
            rest.settle()
            assert rest.intake().posts == 40 - lost, "none came twice to Kafka"
            assert not any(spool.rglob("*.spool"))
            assert [aside.is_dir() for aside in spool.rglob("*.damaged")] == [True], "nothing is deleted"


@scenarios.add
def whatever_breaks_at_bluesky_is_made_good_by_the_cursor(stack: Stack) -> None:
    with Simulator() as simulator, chain(stack, "all", **tracking.bluesky(simulator)) as running:
        settings = running.settings
        tracking.flood(settings, simulator, "jetstream")
        pushed = 0
        for kind in ("cut", "end", "disconnect", "silence", "slow_drip", "half_open"):
            (old,) = simulator.connections("jetstream")
            simulator.push([tracking.skeet(pushed + at, f"the rotwasser rises {pushed + at}") for at in range(10)])
            until(lambda due=pushed + 10: len(tracking.stored(settings, "flood")) == due, f"before {kind}")
            simulator.fault(kind, wire="jetstream")
            simulator.push([tracking.skeet(pushed + at, f"the rotwasser rises {pushed + at}") for at in range(10, 20)])
            pushed += 20
            wait_replaced(simulator, old, kind)
            until(lambda due=pushed: len(tracking.stored(settings, "flood")) == due, f"after {kind}")
            simulator.fault("clear", wire="jetstream")
            simulator.wait(lambda state: len(state["connections"]) == 1, f"nothing of {kind} is left")
        assert gaps_now(running) == []
        assert [one.ended for one in tracking.ledger(settings)[0]] == [
            "127.0.0.1: the connection broke off",
            "127.0.0.1: the server ended the connection (1000)",
            "ConsumerTooSlow: reader below floor rate",
            "127.0.0.1: no answer to a ping",
            DEAD.format(25),
            "127.0.0.1: no answer to a ping",
            None,
        ]
        assert simulator.changes("jetstream").count("connected") == 7
        assert topics.dead_letters(settings) == {}


@scenarios.add
def a_bluesky_server_that_refuses_is_asked_again_and_tells_what_came_meanwhile(stack: Stack) -> None:
    with (
        Simulator() as simulator,
        chain(stack, "all", commands={"all": HASTY}, **tracking.bluesky(simulator)) as running,
    ):
        settings = running.settings
        tracking.flood(settings, simulator, "jetstream")
        hear(running, simulator, 5, 0, "jetstream")
        for status in (503, 429):
            simulator.fault("status", wire="jetstream", status=status)
        simulator.fault("end", wire="jetstream")
        wait_changes(simulator, "jetstream", "refused 503")
        simulator.push(posts_of("jetstream", 5, 5))
        wait_changes(simulator, "jetstream", "refused 429")
        simulator.push(posts_of("jetstream", 5, 10))
        simulator.wait_connected("jetstream", 60)
        until(lambda: len(tracking.stored(settings, "flood")) == 15, "all are stored")
        until(lambda: gaps_now(running) == [], "nothing is missing")
        told = sorted(of_kind(Outage, tracking.entries(settings)), key=lambda one: one.since)
        assert [one.why.partition(" (")[0] for one in told] == ["127.0.0.1: HTTP 503", "127.0.0.1: HTTP 429"]
        assert [one.ended is None for one in told] == [False, False]


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
