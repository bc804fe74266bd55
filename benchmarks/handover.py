"""`python -m benchmarks.handover`: how long nobody listens when the tracker that does is killed, stops or is cut off.

Starts servers, a simulator and two trackers of its own. `STARLING_BENCH_STACK=directory` takes a stack that runs there.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import NamedTuple

import click

from app.clients.kafka import admin, live_members
from app.settings import Settings
from app.tracking.lease import lease_group
from benchmarks.servers import servers
from tests.support import events, tracking
from tests.support.place import place
from tests.support.simulator import Simulator
from tests.support.waiting import until
from tests.support.workers import Worker, worker

SOURCES = {"x": "x", "bluesky": "jetstream"}  # and how the simulator calls its wire
RATE = 20  # posts a second
_SECONDS = 120  # after which a run has failed
_LOOK = 0.05


class Ground:
    """Two trackers, one of which listens to a simulator."""

    def __init__(self, settings: Settings, simulator: Simulator, wire: str, trackers: list[Worker]) -> None:
        self._settings = settings
        self._simulator = simulator
        self._wire = wire
        self._trackers = trackers

    def kill(self) -> Worker:
        """kill -9 of the one that listens."""
        holder = self._holder()
        holder.process.kill()
        return holder

    def terminate(self) -> Worker:
        """SIGTERM to the one that listens."""
        holder = self._holder()
        holder.process.terminate()
        return holder

    def fall_silent(self) -> None:
        """Nothing comes by its connection any more, and nobody tells it so."""
        self._simulator.fault("half_open", wire=self._wire)

    def seconds(self, happens: Callable[[Ground], Worker | None]) -> float:
        """From when it happens until the source has another connection; then all is as it was."""
        self._settle()
        last = self._simulator.log()[-1]["seq"]
        began = time.time()
        ended = happens(self)
        connected = until(lambda: self._connected(last), "another connection", _SECONDS, _LOOK)
        self._simulator.fault("clear")
        if ended is not None:
            ended.process.wait(_SECONDS)
            ended.restart()
        return connected - began

    def _settle(self) -> None:
        """Return once one listens and the other could take over."""
        for one in self._trackers:
            one.wait_ready(_SECONDS)
        until(lambda: asyncio.run(_members(self._settings)) == len(self._trackers), "both may listen", _SECONDS)
        until(lambda: len(self._holders()) == 1, "one of them does", _SECONDS)
        until(lambda: tracking.state(self._settings) == "listening", "it hears something", _SECONDS)

    def _holder(self) -> Worker:
        (found,) = self._holders()
        return found

    def _holders(self) -> list[Worker]:
        return [one for one in self._trackers if '"lease":true' in one.get("/sources")[1].replace(" ", "")]

    def _connected(self, last: int) -> float | None:
        made = [one["at"] for one in self._simulator.log(last, "connection") if one["change"] == "connected"]
        return float(made[0]) if made else None


async def _members(settings: Settings) -> int:
    async with admin(settings) as client:
        return await live_members(client, lease_group(settings))


class Case(NamedTuple):
    """What befalls who listens, and within how many seconds another connection is to be there."""

    name: str
    target: float
    happens: Callable[[Ground], Worker | None]


CASES = (
    Case("kill -9", 15, Ground.kill),
    Case("SIGTERM", 3, Ground.terminate),
    Case("dead socket", 30, Ground.fall_silent),
)


@click.command()
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Of each case.")
@click.option("--source", type=click.Choice([*SOURCES]), default="x", show_default=True)
def main(runs: int, source: str) -> None:
    """Measure hand-overs; status 1 where one took longer than its target."""
    with ExitStack() as opened:
        stack = opened.enter_context(servers())
        wire = SOURCES[source]
        # Signs of life are frequent, so that the last one before a silence is as late as it can be.
        asked = ["--event", "Flood:flood", "--wires", wire, "--rate", str(RATE), "--keep-alive", "1"]
        simulator = opened.enter_context(Simulator(*asked, posts=None, token=tracking.TOKEN))
        listens = tracking.x if source == "x" else tracking.bluesky
        spool = opened.enter_context(tempfile.TemporaryDirectory())
        settings = opened.enter_context(place(stack, **listens(simulator, spool_dir=spool)))
        events.put_events(settings, [events.active("flood", "flood")])
        trackers = [opened.enter_context(worker(settings, "tracker")) for _ in range(2)]
        ground = Ground(settings, simulator, wire, trackers)
        click.echo("| what happens | middle s | slowest s | target s |\n|---|---|---|---|")
        late = False
        for one in CASES:
            found = [ground.seconds(one.happens) for _ in range(runs)]
            late |= max(found) > one.target
            click.echo(f"| {one.name} | {median(found):.1f} | {max(found):.1f} | {one.target:.0f} |")
    sys.exit(late)


if __name__ == "__main__":
    main()
