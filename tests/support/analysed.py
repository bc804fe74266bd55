"""Generated posts of two events, written by the project's own writer, and what Spark should read of them.

Of the event `flood` there is also what was heard of it: one source, and a gap of half an hour.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from pyspark.sql import DataFrame

from app.clients.cassandra import Writer
from app.domain.classify import classify
from app.domain.coverage import InForce, Interval
from app.domain.decisions import Command, decide
from app.domain.events import Definition, Event
from app.domain.heard import to_ms
from app.domain.matcher import Matcher
from app.domain.partitioning import HOUR, BucketRule
from app.domain.records import raw_record
from app.domain.rows import Row, Rows
from app.generator import Generator, Mix
from app.settings import Settings
from app.topics import COVERAGE
from tests.support.events import put_events
from tests.support.rows import Key, Stored, as_stored
from tests.support.topics import Raw, send

START = datetime(2024, 5, 1, 22, 10, tzinfo=UTC)
HOURS = 5  # over midnight
LINES = 900
HOURLY = (BucketRule(since=0, seconds=HOUR, shards=1),)
EVENTS = (
    Event(code="flood", name="flood", keywords=("flood", "high water", "#dike"), status="active", buckets=HOURLY),
    Event(code="storm", name="storm", keywords=("storm", "flood"), status="active", buckets=HOURLY),
    Event(code="other", name="other", keywords=("flood",), status="active", buckets=HOURLY),  # nobody asks for it
)
GAP = START + timedelta(hours=2), START + timedelta(hours=2, minutes=30)


def rows() -> dict[Key, Row]:
    """The row of each post of each event; of what was sent several times the last."""
    start = int(START.timestamp() * 1000)
    lines = Generator(EVENTS, seed=7, mix=Mix(bluesky=0.15)).lines(start, LINES / (HOURS * HOUR))
    matcher = Matcher(EVENTS)
    found: dict[Key, Row] = {}
    for number in range(LINES):
        record = raw_record("raw", 0, number, next(lines).line, {"source": b"x"}, start)
        for bundle in classify([record], matcher, 1).bundles:
            for line, raw in zip(bundle.lines, bundle.posts, strict=True):
                row = Rows().row(bundle.event, 1, line, raw)
                found[row.code, row.post.id] = row
    return found


def write(settings: Settings, made: Iterable[Row]) -> None:
    """Store rows as a worker does."""

    async def writing() -> None:
        async with Writer(settings, lambda _code, _version: False) as writer:
            await asyncio.wait_for(writer.connected(), 60)
            assert await writer.write(list(made), time.time_ns() // 1000) == []

    asyncio.run(writing())


def tell(settings: Settings) -> None:
    """Write into the ledger what was heard of an event that collected as long as there are posts."""
    flood, end = EVENTS[0], START + timedelta(hours=HOURS)

    def decided(action: Any, at: datetime, before: Event | None, **rest: Any) -> Event:
        return decide(Command(id=str(at), action=action, code="flood", at=at, who="a test", **rest), before)

    created = decided("create", START, None, definition=Definition(name="flood", keywords=flood.keywords))
    put_events(settings, [decided("stop", end, created)])
    heard = [_heard(START, GAP[0]), _heard(GAP[1], end)]
    send(settings, [Raw(msgspec.json.encode(one), key=one.key.encode(), headers=()) for one in heard], COVERAGE)


def _heard(begin: datetime, end: datetime) -> Interval:
    since = to_ms(begin)
    in_force = [InForce("flood", 1, since)]
    return Interval(
        source="x", connection="c", opened=since, since=since, until=to_ms(end), ended="cut", events=in_force
    )


def of(made: Iterable[Row], *codes: str) -> list[Stored]:
    """Rows of these events, as Spark gives them."""
    return [_as_spark(as_stored(row)) for row in made if row.code in codes]


def collected(found: DataFrame) -> list[dict[str, Any]]:
    """Rows of a DataFrame; moments are naive UTC."""
    return [{name: _in_utc(value) for name, value in row.asDict(recursive=True).items()} for row in found.collect()]


def _as_spark(row: Stored) -> Stored:
    # What is absent of a list is empty to the connector.
    return row | {"id": str(row["id"]), "hashtags": row["hashtags"] or [], "urls": row["urls"] or []}


def _in_utc(value: Any) -> Any:
    # pyspark gives a moment in the zone of the machine, and does not say so.
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
