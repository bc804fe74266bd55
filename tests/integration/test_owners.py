"""Who counts and who tells: only the worker that owns a partition, and whatever the last one left unsaid."""

from __future__ import annotations

import time

import pytest

from app.domain.activity import Activity
from app.local.stack import Stack
from app.settings import Settings
from tests import builders
from tests.support import events, rows, topics
from tests.support.patched import starling_with
from tests.support.place import place
from tests.support.proxy import Proxy
from tests.support.together import Running, Together
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import worker

# A worker that never comes to tell what it has counted.
SILENT = starling_with("import agents.publishing; agents.publishing.INTERVAL = 3600")


scenarios = Together(at_once=2)


def records(count: int, first: int = 0) -> list[Raw]:
    """Posts of the event, spread over the partitions."""
    return [
        Raw(builders.line(builders.status("water", id=builders.snowflake(sequence=first + n))), n % 4)
        for n in range(count)
    ]


def posts(counted: dict[str, Activity]) -> int:
    return sum(part.posts for part in counted.values())


def told(settings: Settings) -> bool:
    """Whether the topic `activity` says what the tables hold."""
    return topics.published(settings) == (topics.intake(settings, "worker"), topics.activity(settings, "worker"))


@scenarios.add
def what_a_killed_worker_has_counted_but_not_told_is_told_by_the_next(stack: Stack) -> None:
    with place(stack) as settings:
        events.put_events(settings, [events.active("water", "water")])
        with worker(settings, "worker", SILENT) as silent:
            topics.send(settings, records(100))
            silent.wait_ready()
            topics.wait_drained(settings, "worker")
            silent.kill()
        assert posts(topics.activity(settings, "worker")) == 100
        assert topics.published(settings) == ({}, {}), "else it was not silent"
        with worker(settings, "worker"):
            until(lambda: told(settings), "everything counted is told, though nothing new comes", pause=0.5)


@scenarios.add
def a_worker_that_lost_a_partition_while_it_wrote_counts_nothing_of_it(stack: Stack) -> None:
    """It waits for Cassandra with a batch in hand; another takes over, writes and counts; then it can write again.

    Its old count would otherwise stand above the newer one, and be what the next owner goes on from.
    """
    with place(stack) as settings, Proxy(settings.cassandra) as way:
        events.put_events(settings, [events.active("water", "water")])
        cut_off = settings.model_copy(update={"cassandra": way.address})
        with worker(cut_off, "worker") as slow:
            slow.wait_ready()
            topics.send(settings, records(200))
            topics.wait_drained(settings, "worker")
            way.cut()
            topics.send(settings, records(400, first=200))
            until(lambda: slow.get("/readyz")[0] == 503, "it waits for Cassandra")
            with worker(settings, "worker") as quick:
                until(
                    lambda: posts(topics.activity(settings, "worker")) > 300, "the other one has taken over its share"
                )
                until(lambda: _still(settings), "the other one has read all of its share", pause=1)
                way.mend()
                topics.wait_drained(settings, "worker")
                until(lambda: told(settings), "everything counted is told", pause=0.5)
                assert len(rows.tweets(settings)) == 600
                assert posts(topics.activity(settings, "worker")) == 600
                assert topics.total(topics.intake(settings, "worker").values()).posts == 600
                assert slow.alive()
                assert quick.alive()


def _still(settings: Settings) -> bool:
    before = topics.offsets(settings, "worker")
    time.sleep(2)
    return topics.offsets(settings, "worker") == before


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_owners(together: Running, scenario: str) -> None:
    together[scenario].result()
