"""Kafka is away while a tracker listens: what it hears is kept, and sent later, by its successor if need be."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

from app.local.stack import Stack
from tests.support import tracking
from tests.support.chain import chain
from tests.support.simulator import Simulator
from tests.support.waiting import until
from tests.support.workers import worker

RATE = 50


def posts_are_kept_while_kafka_is_away(_stack: Stack) -> None:
    """With a stack of its own. The tracker stays connected and is restarted in the middle; only that is a gap."""
    directory = Path(tempfile.mkdtemp(prefix="starling-outage-"))
    own = Stack(directory / "stack")
    try:
        own.start()
        with Simulator("--keep-alive", "2", token=tracking.TOKEN) as simulator:
            _through_an_outage(own, simulator, directory / "spool")
    finally:
        own.stop(purge=True)
        shutil.rmtree(directory, ignore_errors=True)


def _through_an_outage(own: Stack, simulator: Simulator, spool: Path) -> None:
    settings_of_x = tracking.x(simulator, spool_dir=str(spool))
    with chain(own, "manager", "worker", **settings_of_x) as rest, worker(rest.settings, "tracker") as tracker:
        settings = rest.settings
        tracker.wait_ready()
        tracking.flood(settings, simulator)
        simulator.push(tracking.stream(RATE * 45), rate=RATE)
        tracking.wait_risen(simulator, RATE * 5)
        (broker,) = [part.pid for part in own.status() if part.name == "kafka"]
        assert broker is not None
        connected = simulator.connections("x")
        os.kill(broker, signal.SIGKILL)
        tracking.wait_risen(simulator, RATE * 20)
        assert simulator.connections("x")[0]["id"] == connected[0]["id"], "the connection stays"
        assert any(spool.rglob("*.spool")), "posts are on disk"
        tracker.process.terminate()
        tracker.process.wait(180)
        assert own.start() == ["kafka"]
        tracker.restart()
        tracker.wait_ready()
        tracking.wait_risen(simulator, RATE * 45)
        due = tracking.due(simulator, settings, "flood")
        until(lambda: not any(spool.rglob("*.spool")), "the spool is empty again", 120)
        until(lambda: [one.goes_on for one in tracking.gaps(settings)] == [False], "one gap")
        (gap,) = tracking.gaps(settings)
        inside = {one["id"] for one in simulator.log(what="post") if gap.since <= one["at"] * 1000 < gap.until}
        until(lambda: due - tracking.stored(settings, "flood") <= inside, "all but the gap is stored", 120, 1)
        assert len(due) > RATE * 20
        tracking.check_order(settings, simulator)
