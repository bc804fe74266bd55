"""The broker dies and comes back: nothing is lost, nothing counted twice, and views follow again."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

from app.local.stack import Stack
from tests import builders
from tests.support import events, rows, topics
from tests.support.place import place
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import worker


def posts(word: str, first: int, count: int) -> list[Raw]:
    return [
        Raw(builders.line(builders.status(word, id=builders.snowflake(sequence=first + number))), number % 4)
        for number in range(count)
    ]


def a_broker_killed_under_load_costs_nothing(_stack: Stack) -> None:
    """With a stack of its own."""
    directory = Path(tempfile.mkdtemp(prefix="starling-broker-"))
    own = Stack(directory)
    try:
        own.start()
        with place(own) as settings, worker(settings, "worker") as reading:
            events.put_events(settings, [events.active("water", "water")])
            reading.wait_ready()
            topics.send(settings, posts("water", 0, 4000))
            until(lambda: len(rows.tweets(settings)) > 200, "it is at work", pause=0.02)
            (broker,) = [part.pid for part in own.status() if part.name == "kafka"]
            assert broker is not None
            os.kill(broker, signal.SIGKILL)
            time.sleep(5)
            assert reading.get("/healthz")[0] == 200, "a restart would not help"
            assert own.start() == ["kafka"]
            # The view must follow what is told after the outage.
            events.put_events(settings, [events.active("fire", "fire")])
            until(lambda: _stored_of(settings, "fire"), "a new event collects", 90, 1)
            topics.wait_drained(settings, "worker", 180)
            assert len([key for key in rows.tweets(settings) if key[0] == "water"]) == 4000
            counted = topics.activity(settings, "worker").items()
            assert sum(part.posts for key, part in counted if key.startswith("water|")) == 4000
            assert topics.total(topics.intake(settings, "worker").values()).posts >= 4000
    finally:
        own.stop(purge=True)
        shutil.rmtree(directory, ignore_errors=True)


def _stored_of(settings: object, word: str) -> bool:
    first = int(time.time() * 1000) % 4_000_000
    topics.send(settings, posts(word, first, 4))  # type: ignore[arg-type]
    time.sleep(1)
    return any(key[0] == word for key in rows.tweets(settings))  # type: ignore[arg-type]
