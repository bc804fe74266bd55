"""Which minutes of trends are kept, by whom, and how they go. That kills double nothing is tests/integration's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from faust.types import TP
from msgspec.structs import replace

from app.domain.events import Change, Event
from app.domain.records import Line
from app.domain.rows import Row, normalized, row_of
from app.domain.trends import KEPT, Lane, Word, decode_minute
from app.faustapp import App
from tables.trends import TrendsTable
from tests.builders import entities, post, snowflake, status, v1_time
from tests.support.events import QUIET

MINUTE = 28_800_720  # since 1970


def flood(born: int) -> Event:
    created = Change(version=born, at=datetime(2026, 5, 1, tzinfo=UTC), who="ann", action="create")
    return Event(code="flood", name="flood", buckets=QUIET, history=(created,))


FLOOD, AGAIN = flood(1), flood(9)


class Kafka:
    """An app with one table whose changelog takes everything at once."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.changelog: list[tuple[int, str, bytes | None]] = []
        self.partitions = {"classified": {0, 1}, "changelog": {0, 1}}
        self.revoked: Any = None

    on_partitions_revoked = changelog_topic = property(lambda self: self)

    def connect(self, handler: Any, weak: bool) -> None:
        self.revoked = handler

    def get_topic_name(self) -> str:
        return "changelog"

    def Table(self, *_: object, **__: object) -> Kafka:  # noqa: N802 -- Faust's name
        return self

    def owned(self, topic: str) -> set[int]:
        return self.partitions[topic]

    def send_changelog(self, partition: int, key: str, value: bytes | None) -> asyncio.Future[None]:
        self.changelog.append((partition, key, value))
        sent = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def table(kafka: Kafka) -> TrendsTable:
    return TrendsTable(cast("App", kafka), "classified", 2)


def row(minute: int, offset: int, event: Event = FLOOD) -> Row:
    ms = minute * 60_000
    told = status("it #rises", id=snowflake(ms, offset), created_at=v1_time(ms), entities=entities(("rises",)))
    made = post(told)
    line = Line(0, offset, 0, 0, ms, "x", "live", {"river": "text"})
    return row_of(event, 1, line, normalized(made))


def key(minute: int, partition: int = 0, event: Event = FLOOD) -> str:
    return f"{event.code}|{event.born}|{partition}|{minute}"


async def test_a_minute_is_counted_until_it_is_too_old_and_goes_when_that_was_told(
    table: TrendsTable, kafka: Kafka
) -> None:
    told = await table.count([(0, row(MINUTE, 1)), (0, row(MINUTE, 2)), (1, row(MINUTE, 3))])
    assert {entry[1]: entry[0] for entry in told} == {
        key(MINUTE): TP("classified", 0),
        key(MINUTE, 1): TP("classified", 1),
    }
    assert [(partition, name) for partition, name, _ in kafka.changelog] == [(0, key(MINUTE)), (1, key(MINUTE, 1))]
    assert decode_minute(kafka.data[key(MINUTE)]).hashtags == {"rises": 2}
    assert table.outdated({"flood": FLOOD}) == []
    newest = MINUTE + KEPT
    await table.count([(0, row(newest, 4)), (0, row(MINUTE, 5)), (0, row(MINUTE + 1, 6))])
    assert decode_minute(kafka.data[key(MINUTE)]).posts == 2, "too late"
    assert decode_minute(kafka.data[key(MINUTE + 1)]).posts == 1
    gone = table.outdated({"flood": FLOOD})
    assert gone == [(TP("classified", 0), key(MINUTE), None)]
    assert key(MINUTE) in kafka.data, "not before it was told"
    await table.remove(gone)
    assert kafka.data.keys() == {key(newest), key(MINUTE + 1), key(MINUTE, 1)}
    assert kafka.changelog[-1] == (0, key(MINUTE), None)
    assert table.outdated({"flood": FLOOD}) == []


async def test_an_heir_keeps_and_removes_what_was_there(table: TrendsTable, kafka: Kafka) -> None:
    await table.count([(0, row(MINUTE, 1)), (0, row(MINUTE + KEPT, 2)), (1, row(MINUTE, 3))])
    await kafka.revoked(None, set())
    assert table.outdated({"flood": FLOOD}) == [(TP("classified", 0), key(MINUTE), None)]
    assert {entry[1] for entry in table.entries(TP("classified", 0))} == {key(MINUTE), key(MINUTE + KEPT)}
    assert table.entries(TP("raw", 0)) == []
    assert await table.count([(0, row(MINUTE + KEPT, 2)), (0, row(MINUTE, 9))]) == [], "counted before; too late"


async def test_of_an_event_that_is_no_more_nothing_stays(table: TrendsTable, kafka: Kafka) -> None:
    await table.count([(0, row(MINUTE, 1)), (0, row(MINUTE, 2, AGAIN))])
    gone = table.outdated({"flood": AGAIN})
    assert [entry[1] for entry in gone] == [key(MINUTE)]
    await table.remove(gone)
    assert decode_minute(kafka.data[key(MINUTE, event=AGAIN)]).posts == 1, "another life of it"
    assert [entry[1] for entry in table.outdated({})] == [key(MINUTE, event=AGAIN)]


@pytest.mark.parametrize("topic", ["classified", "changelog"])
async def test_what_is_not_ours_in_both_topics_is_left_alone(table: TrendsTable, kafka: Kafka, topic: str) -> None:
    await table.count([(1, row(MINUTE, 1))])
    kafka.partitions[topic] = {0}
    assert await table.count([(1, row(MINUTE, 2))]) == []
    assert table.outdated({}) == []


async def test_what_is_taken_back_changes_minutes_that_are_there_and_ours(table: TrendsTable, kafka: Kafka) -> None:
    await table.count([(0, row(MINUTE, 1)), (0, row(MINUTE, 2)), (1, row(MINUTE, 3))])
    lanes = [Lane("flood", 1, 0), Lane("flood", 1, 1), Lane("flood", 9, 0)]
    gone, early = (replace(row(minute, 1).seen(), fate="removed") for minute in (MINUTE, MINUTE - 1))
    kafka.partitions["changelog"] = {0}
    before = len(kafka.changelog)
    told = await table.retract([Word(lane, (7, 0), [gone, early]) for lane in lanes])
    assert [entry[:2] for entry in told] == [(TP("classified", 0), key(MINUTE))]
    assert decode_minute(kafka.data[key(MINUTE)]).hashtags == {"rises": 1}
    assert [entry[:2] for entry in kafka.changelog[before:]] == [(0, key(MINUTE))]
    assert await table.retract([Word(lanes[0], (7, 0), [gone])]) == [], "read again"
    assert await table.retract([Word(lanes[0], (8, 0), [replace(gone, fate="held")])]) == []
    assert decode_minute(kafka.data[key(MINUTE)]).posts == 1
