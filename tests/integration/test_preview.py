"""Keywords tried on what a real Kafka keeps: all of it, a sample of it, and none."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from app.asking.previewing import preview_of
from app.clients.kafka import admin
from app.domain.events import Definition, Event
from app.domain.preview import Limits, Preview, event_to_try
from app.domain.records import raw_headers
from app.errors import Unavailable
from app.local.server import free_ports
from app.local.stack import Stack
from app.settings import Settings
from app.topics import RAW, full_name
from tests import builders
from tests.support import commands, topics
from tests.support.place import place
from tests.support.topics import Raw

RECORDS = 1200
IN_RECORD = 5
KINDS = ("flood", "flood, fire", "sun", "sun", "sun")  # of the posts of a record
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Iterator[Settings]:
    """A day of posts, as they would have come."""
    with place(stack) as own:
        now = int(time.time() * 1000)
        topics.send(own, [_record(number, now) for number in range(RECORDS)])
        yield own


def _record(number: int, now: int) -> Raw:
    at = now - (RECORDS - 1 - number) * 60_000
    first = IN_RECORD * number
    lines = [
        builders.line(builders.status(f"{kind} {number}", id=builders.snowflake(sequence=first + place)))
        for place, kind in enumerate(KINDS)
    ]
    return Raw(b"\n".join(lines), number % 4, headers=raw_headers("bluesky", "v1", at, "live"))


def tried(settings: Settings, limits: Limits | None = None, event: Event | None = None) -> Preview:
    event = event or event_to_try(Definition(keywords=("flood", "fire", "quake")))
    told: list[tuple[int, int]] = []
    since = datetime.now(UTC) - HOUR
    found = asyncio.run(
        preview_of(settings, event, since, limits or Limits(10**6, 60), lambda *so_far: told.append(so_far))
    )
    assert told == sorted(told)
    return found


def test_all_that_is_kept_is_read_where_it_is_little(settings: Settings) -> None:
    found = tried(settings)
    assert (found.basis.posts, found.basis.posts_about) == (RECORDS * IN_RECORD,) * 2
    assert (found.basis.records, found.basis.stopped_by) == (RECORDS, "")
    assert [(one.selector, one.hits, one.alone) for one in found.keywords] == [
        ("flood", 2 * RECORDS, RECORDS),
        ("fire", RECORDS, 0),
        ("quake", 0, 0),
    ]
    assert found.per_hour == pytest.approx(2 * RECORDS / ((RECORDS - 1) / 60))
    assert [one.kind for one in found.hints if one.keyword == "flood"] == ["everything"]
    assert len(found.samples) == 20


def test_of_more_a_sample_is_read_evenly(settings: Settings) -> None:
    found = tried(settings, Limits(1000, 60))
    basis = found.basis
    assert basis.stopped_by == "posts"
    assert 1000 <= basis.posts <= 1000 + 8 * IN_RECORD
    assert basis.posts_about == pytest.approx(RECORDS * IN_RECORD, rel=0.01)
    assert found.per_hour == pytest.approx(120, rel=0.1)
    assert found.per_hour_low is not None
    assert found.per_hour_high is not None
    assert found.per_hour_low < 120 < found.per_hour_high
    assert basis.since is not None
    assert basis.until is not None
    assert basis.until - basis.since > 0.9 * RECORDS * 60_000


def test_a_preview_ends_when_its_time_is_over(settings: Settings) -> None:
    found = tried(settings, Limits(10**6, 0.001))
    assert found.basis.stopped_by == "seconds"
    assert 0 < found.basis.posts < RECORDS * IN_RECORD


def test_who_leaves_stops_the_reading(settings: Settings) -> None:
    async def leave() -> None:
        begun = asyncio.Event()
        event = event_to_try(Definition(keywords=("flood",)))
        task = asyncio.create_task(
            preview_of(settings, event, datetime.now(UTC) - HOUR, Limits(10**6, 60), lambda *_: begun.set())
        )
        await begun.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(leave())


def test_what_retention_has_removed_is_not_waited_for(stack: Stack) -> None:
    with place(stack, partitions=2) as own:
        now = int(time.time() * 1000)
        topics.send(own, [_record(number, now)._replace(partition=number % 2) for number in range(100)])
        asyncio.run(_remove(own, 0, 50))
        assert tried(own).basis.records == 50
        asyncio.run(_remove(own, 1, 50))
        empty = tried(own)
        assert (empty.basis.posts, empty.hits) == (0, 0)
        assert "no posts are kept" in empty.cannot_tell[0]


async def _remove(settings: Settings, partition: int, before: int) -> None:
    async with admin(settings) as client:
        place_ = TopicPartition(full_name(RAW, settings), partition)
        await client.delete_records({place_: RecordsToDelete(before_offset=before)}, 5000)


def test_without_kafka_it_says_so() -> None:
    (port,) = free_ports(1)
    away = Settings.model_validate({"kafka": f"127.0.0.1:{port}", "connect_timeout": 1})
    with pytest.raises(Unavailable, match=f"not reachable at 127.0.0.1:{port}"):
        tried(away)


def test_the_command(settings: Settings, tmp_path: Path) -> None:
    def starling(*args: str) -> commands.Ran:
        return commands.run(settings, tmp_path, "event", "preview", *args)

    told = starling("-k", "flood", "-k", "fire", "--seconds", "60")
    assert (told.status, told.err) == (0, "")
    assert "of 6,000 posts match" in told.out
    assert "bluesky 6,000" in told.out
    assert "@mill_watch flood, fire" in told.out
    as_json = json.loads(starling("-k", "flood", "--posts", "500", "--seconds", "60", "--json").out)
    assert as_json["basis"]["stopped_by"] == "posts"
    assert as_json["samples"][0]["text"][0] == {"text": "flood", "marked": True}
    for wrong, said in (
        (["-k", ""], "blank"),
        ([], "at least one keyword"),
        (["nobody"], "there is no event 'nobody'"),
    ):
        ran = starling(*wrong)
        assert (ran.status, ran.out, said in ran.err) == (1, "", True)
