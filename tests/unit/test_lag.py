"""How far each role is behind, and whose each partition is."""

from __future__ import annotations

from app.domain.lag import Lag, lags
from app.domain.presence import SILENT_MS, Process
from app.domain.reach import Reach

NOW = 1_800_000_000_000
READS = {"all": ["raw", "classified"], "classifier": ["raw"], "normalizer": ["classified"]}
BOUNDS = {("raw", 0): (5, 100), ("raw", 1): (0, 40), ("classified", 0): (0, 7)}


def process(name: str, role: str, ago: int = 0, **partitions: tuple[int, ...]) -> Process:
    return Process(id=name, role=role, holder=name, release="1", since=0, at=NOW - ago, partitions=partitions)


def test_each_partition_has_its_owner_and_what_is_committed_of_it() -> None:
    there = [process("a", "classifier", raw=(0,)), process("b", "classifier", raw=(1,)), process("n", "normalizer")]
    committed = {"classifier": {("raw", 0): 90, ("raw", 1): 40}, "all": {("raw", 0): 99}}
    assert lags(READS, committed, BOUNDS, there, NOW) == [
        Lag("classifier", "raw", 0, 90, 100, "a"),
        Lag("classifier", "raw", 1, 40, 40, "b"),
        Lag("normalizer", "classified", 0, 0, 7, None),
    ]


def test_nothing_committed_is_everything_kept() -> None:
    (first, *_) = lags(READS, {}, BOUNDS, [process("a", "classifier")], NOW)
    assert (first.committed, first.records) == (5, 95)


def test_where_nobody_is_at_work_the_role_that_is_farthest_counts() -> None:
    committed = {"classifier": {("raw", 0): 50}, "all": {("raw", 0): 60, ("raw", 1): 9}}
    found = lags(READS, committed, BOUNDS, [process("gone", "classifier", ago=SILENT_MS + 1, raw=(0, 1))], NOW)
    assert [(one.role, one.records, one.owner) for one in found if one.topic == "raw"] == [
        ("all", 40, None),
        ("all", 31, None),
    ]


def test_a_group_that_is_ahead_of_what_is_left_lags_by_nothing() -> None:
    assert Lag("all", "raw", 0, 100, 90, None).records == 0


def test_since_when_a_server_answers() -> None:
    reach = Reach().asked(10, "refused").asked(20, "refused")
    assert reach == Reach(up=False, since=10, at=20, why="refused")
    assert reach.asked(30).asked(40) == Reach(up=True, since=30, at=40)
