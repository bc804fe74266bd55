"""The example of a consumer outside of Starling follows a real stream."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.local.stack import Stack
from app.settings import Settings
from tests.support import events, topics
from tests.support.place import place
from tests.support.topics import Raw

EXAMPLE = Path(__file__).parents[2] / "examples" / "follow.py"


@pytest.fixture
def settings(stack: Stack) -> Iterator[Settings]:
    with place(stack) as own:
        yield own


def test_it_needs_nothing_of_starling() -> None:
    imported = {line.split()[1] for line in EXAMPLE.read_text().splitlines() if line.startswith(("import ", "from "))}
    assert imported - sys.stdlib_module_names == {"aiokafka"}
    assert len(EXAMPLE.read_text().splitlines()) < 50


def test_it_shows_events_and_counts_posts(settings: Settings) -> None:
    events.put_events(settings, [events.active("mill-flood", "mill")])
    topics.send(settings, [Raw(b'{"id":1}\n{"id":2}\n'), Raw(b'{"id":3}')])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STARLING_")}
    following = subprocess.Popen(
        [sys.executable, str(EXAMPLE), settings.kafka],
        env=environment | {"STARLING_TOPIC_PREFIX": settings.topic_prefix},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert following.stdout is not None
        seen: list[str] = []
        for line in following.stdout:
            seen.append(line.strip())
            if seen[-1] == "3 raw posts" and any(one.startswith("event") for one in seen):
                break
        assert "event mill-flood active, version 1" in seen
        topics.send(settings, [Raw(b'{"id":4}')])
        assert any(line.strip() == "4 raw posts" for line in following.stdout)
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 0
    finally:
        following.kill()
        following.communicate()
