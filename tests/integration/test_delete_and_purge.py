"""Delete keeps the rows of an event, purge removes them: all of them, nothing else, and for good."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.activity import Activity
from app.local.stack import Stack
from app.schema import EVENT_BUCKET, TWEET, TWEET_RAW
from tests import builders
from tests.support import events, rows, topics
from tests.support.chain import Chain, chain
from tests.support.patched import starling_with
from tests.support.rows import patient_session
from tests.support.topics import Raw
from tests.support.waiting import until

TABLES = (TWEET, TWEET_RAW, EVENT_BUCKET)
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[Chain]:
    """The normalizer apart, so that posts can be on their way while it is away."""
    with chain(stack, "manager", "classifier", "normalizer") as made:
        yield made


def posts(word: str, count: int, first: int = 0) -> list[Raw]:
    """Posts with a word, over four days, thus four buckets of an event laid out by days."""
    return [
        Raw(
            builders.line(
                builders.status(word, id=builders.snowflake(builders.POSTED_MS + n % 4 * DAY_MS, sequence=first + n))
            ),
            n % 4,
        )
        for n in range(count)
    ]


def held(running: Chain, code: str) -> dict[str, int]:
    """How many rows each table holds of an event."""
    found = {}
    for table in TABLES:
        every = rows.query(running.settings, rows.EVERYTHING + table)
        found[table] = sum(row["event_name"] == code for row in every)
    return found


def counts(running: Chain, code: str) -> dict[str, Activity]:
    """What the table `activity` holds of an event."""
    held_counts = topics.activity(running.settings, "normalizer")
    return {key: part for key, part in held_counts.items() if key.startswith(f"{code}|")}


def collect(running: Chain, code: str, count: int, first: int = 0) -> None:
    """Have posts stored for an event, which collects for a word like its code."""
    running.send(*posts(code, count, first))
    running.settle()


def test_delete_keeps_the_rows_and_the_code(running: Chain) -> None:
    events.accepted(running.settings, events.create("deleted", keywords=("deleted",)))
    collect(running, "deleted", 8)
    before = held(running, "deleted")
    assert before == {TWEET: 8, TWEET_RAW: 8, EVENT_BUCKET: 4}
    events.accepted(running.settings, events.command("stop", "deleted"), events.command("delete", "deleted"))
    collect(running, "deleted", 8, first=100)
    assert held(running, "deleted") == before
    refused = events.told(running.settings, events.create("deleted", keywords=("deleted",)))
    assert (refused.accepted, refused.reason) == (False, "exists")


def test_purge_removes_all_rows_of_the_event_and_nothing_else(running: Chain) -> None:
    events.accepted(
        running.settings,
        events.create("purged", keywords=("purged",)),
        events.create("purged-not", keywords=("purged",)),
    )
    collect(running, "purged", 40)
    others = held(running, "purged-not")
    assert held(running, "purged") == others == {TWEET: 40, TWEET_RAW: 40, EVENT_BUCKET: 4}
    events.accepted(running.settings, events.command("stop", "purged"), events.command("purge", "purged"))
    assert held(running, "purged") == dict.fromkeys(TABLES, 0)
    assert held(running, "purged-not") == others
    assert "purged" not in events.events(running.settings)


def test_an_active_event_is_not_purged(running: Chain) -> None:
    events.accepted(running.settings, events.create("busy", keywords=("busy",)))
    collect(running, "busy", 4)
    refused = events.told(running.settings, events.command("purge", "busy"))
    assert (refused.accepted, refused.reason) == (False, "state")
    assert held(running, "busy")[TWEET] == 4


def test_posts_in_flight_come_neither_back_after_a_purge_nor_to_a_new_event_of_the_same_code(running: Chain) -> None:
    codes = ("inflight", "reborn")
    for code in codes:
        events.accepted(running.settings, events.create(code, keywords=(code,)))
        collect(running, code, 4)
    normalizer = running.workers["normalizer"]
    normalizer.kill()
    for code in codes:
        running.send(*posts(code, 40, first=100))
    topics.wait_drained(running.settings, "classifier")
    for code in codes:
        events.accepted(running.settings, events.command("stop", code), events.command("purge", code))
    events.accepted(running.settings, events.create("reborn", keywords=("other",)))
    normalizer.restart()
    normalizer.wait_ready()
    running.settle()
    for code in codes:
        assert held(running, code) == dict.fromkeys(TABLES, 0)


def test_an_event_is_purged_as_often_as_it_is_created(running: Chain) -> None:
    """A worker remembers which buckets it has put on the list; a purge takes them off it. Its counts begin anew."""
    for life in range(2):
        events.accepted(running.settings, events.create("again", keywords=("again",)))
        collect(running, "again", 8, first=10 * life)
        assert held(running, "again") == {TWEET: 8, TWEET_RAW: 8, EVENT_BUCKET: 4}
        assert sum(part.posts for part in counts(running, "again").values()) == 8
        events.accepted(running.settings, events.command("stop", "again"), events.command("purge", "again"))
        assert held(running, "again") == dict.fromkeys(TABLES, 0)
        until(lambda: not counts(running, "again"), "its counts are removed", 30, 0.5)
        until(lambda: not _told(running, "again"), "which is told", 30, 0.5)


def _told(running: Chain, code: str) -> list[str]:
    return [key for key in topics.published(running.settings)[1] if key.startswith(f"{code}|")]


def test_rows_written_while_a_purge_runs_are_removed_too(stack: Stack, tmp_path: Path) -> None:
    """What a normalizer has begun to write it writes; its bucket stands on the list only if it did before."""
    gate = tmp_path / "gate"
    slow = starling_with(f"""
        import pathlib, time
        import agents.purging
        purge_rows = agents.purging.purge_rows

        def held(*arguments, and_list):
            purge_rows(*arguments, and_list=and_list)
            while not and_list and not pathlib.Path({str(gate)!r}).exists():
                time.sleep(0.05)

        agents.purging.purge_rows = held
    """)
    with chain(stack, "manager", "worker", commands={"manager": slow}) as running:
        settings = running.settings
        events.accepted(settings, events.create("late", keywords=("late",)))
        collect(running, "late", 4)
        (bucket, *_) = sorted(row["bucket"] for row in running.stored({"late"}).values())
        events.accepted(settings, events.command("stop", "late"))
        purge = threading.Thread(target=events.accepted, args=(settings, events.command("purge", "late")))
        purge.start()
        until(lambda: held(running, "late")[TWEET] == 0, "the purge has removed rows", pause=0.02)
        with patient_session(settings) as cassandra:
            for table in (TWEET, TWEET_RAW):
                cassandra.execute(
                    f"INSERT INTO {settings.keyspace}.{table} (event_name, bucket, t_id) VALUES (%s, %s, %s)",  # noqa: S608
                    ["late", bucket, "1"],
                )
        assert held(running, "late")[TWEET] == 1
        assert events.events(settings)["late"].status == "purging"
        gate.touch()
        purge.join()
        assert held(running, "late") == dict.fromkeys(TABLES, 0)
        running.check_calm()
