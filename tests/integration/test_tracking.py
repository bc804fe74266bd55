"""Live sources into Cassandra, and the ledger of what was heard: real workers against the simulator."""

from __future__ import annotations

import re

import pytest

from app.domain.events import Definition
from app.local.stack import Stack
from tests.support import tracking
from tests.support.chain import chain
from tests.support.events import accepted, command, create
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


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
