"""What the ledger says of time that was not heard, or not all of it: in Kafka, and in Cassandra beside the rows."""

from __future__ import annotations

import json
import time

import pytest

from app.domain.coverage import Left, Outage, SourceStatus, of_kind
from app.domain.events import Definition
from app.domain.heard import Heard, coverage
from app.local.stack import Stack
from app.schema import COVERAGE, OUTAGE
from app.settings import Settings
from tests.support import events, rows, tracking
from tests.support.chain import chain
from tests.support.events import accepted, command, create
from tests.support.place import place
from tests.support.simulator import Simulator
from tests.support.together import Running, Together
from tests.support.waiting import until
from tests.support.workers import worker

scenarios = Together(at_once=3)


def outages(settings: Settings) -> list[Outage]:
    return sorted(of_kind(Outage, tracking.entries(settings)), key=lambda one: one.since)


@scenarios.add
def a_token_that_is_refused_after_a_connection_is_the_reason_of_the_gap(stack: Stack) -> None:
    with Simulator(token=tracking.TOKEN) as simulator, chain(stack, "all", **tracking.x(simulator)) as running:
        settings = running.settings
        tracking.flood(settings, simulator)
        simulator.push(tracking.stream(5))
        tracking.wait_stored(settings, "flood", tracking.due(simulator, settings, "flood"))
        simulator.fault("status", wire="x", status=401, count=1)
        simulator.fault("end", wire="x")
        until(lambda: tracking.state(settings) == "refused", "it says that it is refused")
        until(lambda: outages(settings)[-1].until > outages(settings)[-1].since, "the outage is told again", pause=0.5)
        (gap,) = tracking.gaps(settings)
        assert gap.goes_on
        assert "401" in gap.reasons[-1].why
        assert "closed the connection" in gap.why
        accepted(settings, command("edit", "flood", definition=Definition(keywords=("rotwasser", "blauwasser"))))
        (refused,) = until(
            lambda: [one for one in outages(settings) if "401" in one.why and one.ended], "the refusal is over"
        )
        assert refused.ended == "connected"
        (gap,) = until(lambda: [one for one in tracking.gaps(settings) if not one.goes_on], "the gap is over")
        assert (gap.reasons[-1].why, gap.reasons[-1].since) == (refused.why, refused.since)
        simulator.push(tracking.stream(5, 100))
        tracking.wait_stored(settings, "flood", tracking.due(simulator, settings, "flood"))
        assert len(tracking.stored(settings, "flood")) == 10
        stored = until(
            lambda: [one for one in rows.query(settings, rows.EVERYTHING + OUTAGE) if one["ended"] == "connected"],
            "it stands in Cassandra, with its end",
        )
        assert [(one["source"], one["kind"], one["why"]) for one in stored] == [("x", "outage", refused.why)]
        assert stored[0]["since"] == rows.moment(refused.since)
        assert stored[0]["until"] == rows.moment(refused.until)
        ended = [row["ended"] for row in rows.query(settings, rows.EVERYTHING + COVERAGE)]
        assert sorted(ended, key=str) == [None, gap.why], "an interval that is over says why in Cassandra too"


@scenarios.add
def a_source_that_never_connects_stands_in_the_ledger(stack: Stack) -> None:
    with (
        Simulator(token="another") as simulator,  # noqa: S106 -- of the simulator
        chain(stack, "all", **tracking.x(simulator)) as running,
    ):
        settings = running.settings
        accepted(settings, create("flood", keywords=("rotwasser",)))
        until(lambda: outages(settings), "an outage is written down")
        time.sleep(6)  # longer than a start may take without being a gap
        heard = tracking.heard(settings, "flood")
        assert heard.share == 0
        (gap,) = heard.gaps
        assert "401" in gap.reasons[-1].why
        assert "STARLING_X_BEARER_TOKEN" in gap.reasons[-1].why
        assert len(outages(settings)) == 1
        accepted(settings, command("stop", "flood"))
        until(lambda: outages(settings)[0].ended == "no event is active", "the outage is over: nobody waits any more")


@scenarios.add
def what_x_is_not_asked_for_is_said_with_its_time(stack: Stack) -> None:
    long = " ".join(f"donaudampfschifffahrt{number}" for number in range(6))
    with (
        Simulator("--rule-length", "128", token=tracking.TOKEN) as simulator,
        chain(stack, "all", **tracking.x(simulator, x_rule_length=128)) as running,
    ):
        settings = running.settings
        tracking.flood(settings, simulator)
        accepted(settings, command("edit", "flood", definition=Definition(keywords=("rotwasser", long))))
        heard = until(lambda: (one := tracking.heard(settings, "flood")).without and one, "the refusal is told")
        (without,) = heard.without
        assert without.goes_on
        assert long in without.what
        assert tracking.gaps(settings) == []
        accepted(settings, command("edit", "flood", definition=Definition(keywords=("rotwasser",))))
        until(lambda: not tracking.heard(settings, "flood").without[0].goes_on, "it is over")
        refused = until(
            lambda: [
                one
                for row in rows.query(settings, rows.EVERYTHING + COVERAGE)
                for one in json.loads(row["refused"])
                if one["until"] is not None
            ],
            "it stands in Cassandra",
        )
        assert [(one["code"], one["what"]) for one in refused] == [("flood", [without.what])]


@scenarios.add
def a_source_that_the_settings_name_no_more_counts_until_then(stack: Stack) -> None:
    def by_source(settings: Settings) -> dict[str, Heard]:
        entries = tracking.entries(settings)
        found = coverage(events.events(settings)["flood"], entries, int(time.time() * 1000))
        return {heard.source: heard for heard in found}

    def state(settings: Settings) -> str:
        (found,) = [one for one in tracking.entries(settings) if isinstance(one, SourceStatus) and one.source == "x"]
        return found.state

    def wait_left(settings: Settings, *, over: bool) -> None:
        until(
            lambda: [one.until is not None for one in of_kind(Left, tracking.entries(settings))] == [over],
            f"x was left, and is {'back' if over else 'away'}",
        )

    with Simulator("--posts", "0", token=tracking.TOKEN) as simulator:
        both = {**tracking.x(simulator), **tracking.bluesky(simulator), "sources": "x,bluesky"}
        with place(stack, **both) as settings:
            one_of_them = settings.model_copy(update={"sources": "bluesky"})
            with worker(settings) as first:
                first.wait_ready()
                accepted(settings, create("flood", keywords=("rotwasser",)))
                simulator.wait_connected("x")
                simulator.wait_connected("jetstream")
                until(lambda: len(by_source(settings)) == 2, "both are heard")
                first.term()
            with worker(one_of_them) as second:
                second.wait_ready()
                simulator.wait_connected("jetstream")
                wait_left(settings, over=False)
                until(lambda: state(settings) == "left", "the status says that x was left")
                heard = until(lambda: (one := by_source(settings)["x"]).left and one, "its line says so")
                assert not any(gap.goes_on for gap in heard.gaps)
                second.term()
            with worker(settings) as third:
                third.wait_ready()
                simulator.wait_connected("x")
                wait_left(settings, over=True)
                until(lambda: state(settings) in ("listening", "quiet"), "x is heard again")
                left = (
                    "SELECT source, until FROM {keyspace}.outage WHERE source = 'x' AND kind = 'left' ALLOW FILTERING"
                )
                until(lambda: [row["until"] is None for row in rows.query(settings, left)] == [False], "in Cassandra")
                third.term()


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
