"""When a partition counts as standing still, and who is asked whether there is something to read."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError
from faust.types import TP

from app.health import Progress
from app.settings import Settings
from app.web import health

STALL = 3.0


def test_a_record_that_waits_for_too_long_is_a_stall_until_it_is_committed() -> None:
    progress: Progress[str] = Progress(STALL)
    for now in (0.0, 2.0):
        progress.look({"a": (10, 11), "b": (5, 5)}, now)
        assert progress.stalled == []
    progress.look({"a": (10, 11), "b": (5, 5)}, 4.0)
    assert progress.stalled == ["a"]
    progress.look({"a": (11, 12), "b": (5, 5)}, 6.0)
    assert progress.stalled == []


def test_what_has_nothing_to_read_is_never_stalled_and_its_first_record_has_its_whole_time() -> None:
    progress: Progress[str] = Progress(STALL)
    progress.look({"a": (10, 10)}, 0.0)
    progress.look({"a": (10, 10)}, 60.0)
    progress.look({"a": (10, 12)}, 62.0)
    assert progress.stalled == []
    progress.look({"a": (10, 12)}, 64.0)
    assert progress.stalled == []
    progress.look({"a": (10, 12)}, 66.0)
    assert progress.stalled == ["a"]


def test_offsets_without_a_record_are_nothing_to_read() -> None:
    progress: Progress[str] = Progress(STALL)
    for now in (0.0, 4.0):
        progress.look({"a": (10, 11)}, now)
    assert progress.stalled == ["a"]
    progress.empty("a", 10, 11)
    for now in (4.0, 60.0):
        progress.look({"a": (10, 11)}, now)
        assert progress.stalled == []
    for now in (62.0, 64.0):
        progress.look({"a": (10, 13)}, now)
        assert progress.stalled == []
    progress.look({"a": (10, 13)}, 66.0)
    assert progress.stalled == ["a"]


def test_a_record_behind_empty_offsets_has_not_waited_as_long_as_they() -> None:
    """The commit stands before a mark of a transaction; just before that is looked into, a record comes."""
    progress: Progress[str] = Progress(STALL)
    progress.look({"a": (10, 11)}, 0.0)
    progress.look({"a": (10, 13)}, 4.0)
    assert progress.stalled == ["a"]
    progress.empty("a", 10, 11)
    progress.look({"a": (10, 13)}, 4.0)
    assert progress.stalled == []
    progress.look({"a": (10, 13)}, 8.0)
    assert progress.stalled == ["a"]
    progress.empty("a", 10, 11)
    progress.look({"a": (10, 13)}, 8.0)
    assert progress.stalled == ["a"]


def test_records_that_expire_unread_do_not_make_the_later_ones_young() -> None:
    progress: Progress[str] = Progress(STALL)
    progress.look({"a": (10, 100)}, 0.0)
    for now, first in ((4.0, 50), (8.0, 90)):
        progress.empty("a", 10, first)
        progress.look({"a": (10, 100 + int(now))}, now)
        assert progress.stalled == ["a"]


def test_a_partition_that_comes_back_is_looked_at_anew() -> None:
    progress: Progress[str] = Progress(STALL)
    progress.look({"a": (10, 11)}, 0.0)
    progress.look({}, 2.0)
    progress.look({"a": (10, 11)}, 4.0)
    assert progress.stalled == []


class Watched:
    """A watch over partitions whose offsets, first records and time the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.ends: dict[TP, int] = {}
        self.first: dict[TP, int | None] = {}
        self.probe_seconds = 0.0
        monkeypatch.setattr(health, "monotonic", lambda: self.now)
        monkeypatch.setattr(health, "first_offset", self._first_offset)
        view: Any = SimpleNamespace(view=SimpleNamespace(ends=self._ends))
        self.watch = health._Watch(Settings(stall_seconds=STALL), view, lambda: dict.fromkeys(self.ends, 10))

    async def _ends(self, _committed: object) -> dict[TP, int]:
        return dict(self.ends)

    async def _first_offset(self, _settings: Settings, topic: str, partition: int, _offset: int) -> int | None:
        self.now += self.probe_seconds
        if (tp := TP(topic, partition)) not in self.first:
            raise KafkaTimeoutError
        return self.first[tp]

    def look(self, now: float) -> list[TP]:
        self.now = now
        asyncio.run(self.watch.look())
        return self.watch.stalled


A, B = TP("raw", 0), TP("raw", 1)


def test_who_was_not_asked_whether_there_is_something_to_read_is_not_told_as_stalled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A probe takes its time, in which other partitions come to stand before their marks for too long."""
    watched = Watched(monkeypatch)
    watched.ends, watched.first, watched.probe_seconds = {A: 11}, {A: None, B: None}, 5.0
    assert watched.look(0.0) == []
    watched.ends = {A: 11, B: 11}
    assert watched.look(2.0) == []
    assert watched.look(4.0) == []


def test_a_partition_of_which_kafka_says_nothing_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.ends, watched.first = {A: 11, B: 11}, {B: 10}
    assert watched.look(0.0) == []
    assert watched.look(4.0) == [B]
