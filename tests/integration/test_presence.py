"""Every process tells of itself: its partitions, its waits, the versions in force; and its end."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack

from app.clients.compacted import read_compacted
from app.domain.presence import Entry, Process, Versions, entry, holdings, processes
from app.local.stack import Stack
from app.settings import Settings
from app.topics import PRESENCE
from tests.support import events
from tests.support.chain import chain
from tests.support.place import place
from tests.support.waiting import until
from tests.support.workers import worker


def told(settings: Settings) -> list[Entry]:
    return list(asyncio.run(read_compacted(settings, PRESENCE, entry)).values())


def there(settings: Settings) -> list[Process]:
    return processes(told(settings), int(time.time() * 1000))


def partitions(found: list[Process], topic: str) -> list[int]:
    return sorted(number for one in found for number in one.partitions.get(topic, ()))


def test_processes_tell_their_partitions_and_versions_and_take_their_leave(stack: Stack) -> None:
    with chain(stack, "manager", "classifier", "normalizer") as running:
        settings = running.settings
        with worker(settings, "classifier") as second:
            second.wait_ready()
            until(
                lambda: (
                    sum("raw_tweets" in one.partitions for one in there(settings)) == 2
                    and partitions(there(settings), "raw_tweets") == [0, 1, 2, 3]
                    and partitions(there(settings), "classified_tweets") == [0, 1, 2, 3]
                ),
                "two classifiers share the raw partitions, and the normalizer has all of its own",
            )
            events.accepted(settings, events.create("flood", keywords=("flood",)))
            flood = events.events(settings)["flood"]
            until(
                lambda: (
                    [
                        one.version
                        for one in holdings(flood, told(settings), [], int(time.time() * 1000))
                        if not one.lags
                    ]
                    == [1, 1, 1, 1]
                ),
                "all four have it in force",
            )
            second.term()
        assert [one.role for one in there(settings)] == ["classifier", "manager", "normalizer"], (
            "it has taken its leave"
        )
        assert sum(isinstance(one, Versions) for one in told(settings)) == 3


def test_who_waits_for_cassandra_or_has_been_killed_is_seen(stack: Stack) -> None:
    with ExitStack() as opened:
        settings = opened.enter_context(place(stack))
        away = settings.model_copy(update={"cassandra": "127.0.0.1:9"})
        normalizer = opened.enter_context(worker(away, "normalizer"))
        (one,) = until(
            lambda: [one for one in there(settings) if one.waits == ("Cassandra",)],
            "it tells that it waits for Cassandra",
        )
        normalizer.kill()
        until(
            lambda: next(found for found in there(settings) if found.id == one.id).silent(int(time.time() * 1000)),
            "it is silent",
        )
