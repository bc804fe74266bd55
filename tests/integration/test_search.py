"""Stored posts are found by the index: those that looking at every one finds, through kills, purges and rebuilds."""

from __future__ import annotations

import asyncio
import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.clients.rematches import follow
from app.domain.annotating import Change
from app.domain.decisions import Command
from app.domain.events import Definition
from app.domain.searching import Search, search
from app.local.stack import Stack
from app.schema import BY_BUCKET, BY_EVENT, POST_INDEX
from app.settings import Settings
from tests import builders
from tests.support import commands, events, rows, topics
from tests.support.chain import Chain, chain
from tests.support.finding import annotate, by_hand, find
from tests.support.rows import patient_session
from tests.support.together import Running, Together
from tests.support.topics import Raw

scenarios = Together(at_once=2)

MINUTE_MS = 60_000
INDEXER = "indexer"
WORDS = ["flood", "river", "#flood", "dike", "Brücke", "地震速報", "فيضان", "🔥", "don't", "flash flood", "flood flash"]
SEARCHES = [
    search(),
    search("flood"),
    search("flood river"),
    search('"flash flood"'),
    search('"flash flood" dike'),
    search("#flood"),
    search("brücke"),
    search("地震"),
    search("震"),
    search("فيضان"),
    search("🔥"),
    search("nowhere"),
    search("the of"),
    search("flood", account="@Mill_Watch"),
    search(account="other"),
    search(language="de"),
    search("river", language="en", since=builders.POSTED_MS + 90 * MINUTE_MS),
    search(until=builders.POSTED_MS + 30 * MINUTE_MS),
    search(since=builders.POSTED_MS + 10 * MINUTE_MS, until=builders.POSTED_MS + 20 * MINUTE_MS),
    search(keyword="water"),
    search("dike", keyword='"high water"'),
]


def posts(count: int, seed: int, first: int = 0) -> list[Raw]:
    """Posts over four hours, in many buckets where the event is laid out for many."""
    chance = random.Random(seed)
    made = []
    for number in range(first, first + count):
        text = " ".join(["high water", *chance.choices(WORDS, k=3)]) if chance.random() < 0.5 else "water the of"
        body = builders.status(
            text,
            id=builders.snowflake(builders.POSTED_MS + chance.randrange(240) * MINUTE_MS, sequence=number),
            user=builders.user(chance.choice(["Mill_Watch", "other", "third"])),
            lang=chance.choice(["en", "de", "und"]),
        )
        made.append(Raw(builders.line(body), number % 4))
    return made


def create(code: str, **rest: Any) -> Command:
    """The command for an event that all the posts are of."""
    definition = Definition(name=code, keywords=("water", '"high water"'))
    return events.command("create", code, draft=False, definition=definition, **rest)


def collect(running: Chain, code: str, count: int, first: int = 0, rate: float = 1.0) -> None:
    """An event with posts, all of them indexed."""
    if not first:
        events.accepted(running.settings, create(code, expected_rate=rate))
    running.send(*posts(count, seed=len(code), first=first))
    running.settle()


def check(running: Chain, code: str, *more: Search) -> None:
    """Everything that is searched for is found, in order, once."""
    for asked in (*SEARCHES, *more):
        found = [hit.post.id for hit in find(running.settings, code, asked)]
        assert found == by_hand(running.settings, code, asked), asked


def held(running: Chain, code: str) -> dict[str, int]:
    """Rows of an event in each table."""
    return {
        table: sum(row["event_name"] == code for row in rows.query(running.settings, rows.EVERYTHING + table))
        for table in (*BY_BUCKET, *BY_EVENT)
    }


@scenarios.add
def every_post_that_is_looked_for_is_found(stack: Stack) -> None:
    with chain(stack, "manager", "worker", INDEXER) as running:
        collect(running, "many-buckets", 300, rate=100.0)
        check(running, "many-buckets")
        collect(running, "one-bucket", 120)
        check(running, "one-bucket")
        assert running.workers[INDEXER].complaints() == []


@scenarios.add
def tags_are_searched_for_and_a_rebuild_keeps_them(stack: Stack) -> None:
    with chain(stack, "manager", "worker", INDEXER) as running:
        settings = running.settings
        collect(running, "tagged", 60)
        hits = find(settings, "tagged", search("flood"))
        annotate(settings, "tagged", hits[:5], Change(add=("Eye  Witness", "b"), note="seen\r\ntwice"))
        annotate(settings, "tagged", hits[4:5], Change(remove=("b",)))
        found = find(settings, "tagged", search(tags=["eye witness"]))
        assert [hit.post.id for hit in found] == [hit.post.id for hit in hits[:5]]
        assert (found[0].annotation.tags, found[0].annotation.note) == (("b", "eye witness"), "seen\ntwice")
        assert found[0].annotation.changed_by == "ada"
        tagged = (search(tags=["b"]), search("flood", tags=["eye witness", "b"]), search(tags=["c"]))
        check(running, "tagged", *tagged)
        with patient_session(settings) as cassandra:
            cassandra.execute(f"TRUNCATE {settings.keyspace}.{POST_INDEX}", timeout=60)
        assert find(settings, "tagged", search()) == []
        with tempfile.TemporaryDirectory() as state:
            done = commands.run(settings, Path(state), "index", "rebuild", "tagged", "--json")
            assert commands.run(settings, Path(state), "index", "rebuild", "other").error.startswith(
                "there is no event"
            )
            assert commands.run(settings, Path(state), "index", "status").out.startswith("everything")
        assert '"posts": 60' in done.out
        check(running, "tagged", *tagged)
        assert running.workers[INDEXER].complaints() == []


@scenarios.add
def an_indexer_that_is_killed_misses_nothing(stack: Stack) -> None:
    with chain(stack, "manager", "worker", INDEXER) as running:
        collect(running, "killed", 40)
        indexer = running.workers[INDEXER]
        for first in (1000, 2000, 3000):
            running.send(*posts(400, seed=first, first=first))
            topics.wait_drained(running.settings, "worker")
            indexer.kill()
            indexer.restart()
            indexer.wait_ready()
        running.settle()
        check(running, "killed")
        before = held(running, "killed")
        assert before[POST_INDEX] == 1240


@scenarios.add
def a_purge_removes_the_index_and_what_was_written_to_posts(stack: Stack) -> None:
    with chain(stack, "manager", "worker", INDEXER) as running:
        settings = running.settings
        for code in ("gone", "stays"):
            collect(running, code, 40)
        for code in ("gone", "stays"):
            annotate(settings, code, find(settings, code, search())[:3], Change(add=("a",), note="n"))
        before = held(running, "stays")
        assert all(before[table] for table in before if table not in ("annotation_job", "removal"))
        indexer = running.workers[INDEXER]
        indexer.kill()
        running.send(*posts(40, seed=9, first=500))  # in flight
        topics.wait_drained(settings, "worker")
        events.accepted(settings, events.command("stop", "gone"), events.command("purge", "gone"))
        indexer.restart()
        indexer.wait_ready()
        running.settle()
        assert held(running, "gone") == dict.fromkeys(before, 0)
        assert len(find(settings, "stays", search())) == 80
        assert len(find(settings, "stays", search(tags=["a"]))) == 3


@scenarios.add
def the_role_all_indexes_and_a_rematch_is_found_too(stack: Stack) -> None:
    with chain(stack, "all") as running:
        settings = running.settings
        running.send(*posts(50, seed=3))
        running.settle()
        (answer,) = events.accepted(settings, create("past", rematch_since=datetime.now(UTC) - timedelta(hours=1)))
        assert answer.version is not None
        asyncio.run(_over(settings, "past", answer.version))
        running.settle()
        topics.wait_drained(settings, INDEXER)
        found = find(settings, "past", search())
        assert [hit.post.id for hit in found] == by_hand(settings, "past", search())
        assert {hit.way["origin"] for hit in found} == {"rematch"}


async def _over(settings: Settings, code: str, version: int) -> None:
    async for _ in follow(settings, code, version):
        pass


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
