"""Live sources into Cassandra, and the ledger of what was heard: real workers against the simulator."""

from __future__ import annotations

import pytest

from app.local.stack import Stack
from tests.support import tracking
from tests.support.chain import chain
from tests.support.events import accepted, create
from tests.support.simulator import Simulator
from tests.support.together import Running, Together
from tests.support.waiting import until

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


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
