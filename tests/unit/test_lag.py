"""How far each role is behind, and whose each partition is."""

from __future__ import annotations

from app.domain.lag import MOST_SEEN, Lag, Waits, behind, lags, unread
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


def test_what_has_expired_unread_waits_no_more() -> None:
    found = lags({"worker": ["raw"]}, {"worker": {("raw", 0): 3}}, {("raw", 0): (8, 8)}, [], NOW)
    assert [(one.committed, one.records) for one in found] == [(8, 0)]
    waits = Waits()
    waits.look({("raw", 0): (0, 8)}, NOW - 60_000)
    (late,) = lags({"worker": ["raw"]}, {"worker": {("raw", 0): 3}}, {("raw", 0): (8, 8)}, [], NOW, waits)
    assert late.seconds == 0.0


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


def test_a_record_has_waited_since_its_partition_was_seen_to_hold_it() -> None:
    waits, place = Waits(), ("raw_tweets", 0)
    waits.look({place: (0, 10)}, 0)
    waits.look({place: (0, 10)}, 2_000)
    waits.look({place: (0, 14)}, 4_000)
    assert waits.seconds(place, 10, 9_000) == 5.0, "offset 10 came between 2 s and 4 s"
    assert waits.seconds(place, 9, 9_000) == 9.0
    assert waits.seconds(place, 14, 9_000) == 0.0, "nothing is left"
    assert waits.seconds(("raw_tweets", 1), 0, 9_000) == 0.0


def test_what_all_readers_are_past_is_forgotten_and_a_topic_made_anew_begins_anew() -> None:
    waits, place = Waits(), ("raw_tweets", 0)
    for second in range(5):
        waits.look({place: (0, second + 1)}, second * 1_000)
    waits.forget({place: 3})
    assert waits.seconds(place, 3, 10_000) == 7.0
    waits.look({place: (0, 2)}, 20_000)
    assert waits.seconds(place, 0, 21_000) == 1.0


def test_however_long_a_reader_is_away_little_is_kept_and_the_oldest_stays_exact() -> None:
    waits, place = Waits(), ("raw_tweets", 0)
    for look in range(5 * MOST_SEEN):
        waits.look({place: (0, look + 1)}, look * 1_000)
    assert len(waits._ends[place]) <= MOST_SEEN
    assert waits.seconds(place, 0, 5 * MOST_SEEN * 1_000) == 5 * MOST_SEEN


def test_a_role_is_as_far_behind_as_its_farthest_partition_or_as_those_that_read_the_same() -> None:
    found = [
        Lag("classifier", "raw", 0, 1, 2, None, 4.0),
        Lag("classifier", "raw", 1, 1, 2, None, 9.0),
        Lag("normalizer", "classified", 0, 1, 1, None, 0.0),
    ]
    assert behind(found, READS) == {"all": 9.0, "classifier": 9.0, "normalizer": 0.0}
    assert behind(found, {"manager": ["commands"]}) == {}
    assert unread(found) == {"classifier": 2, "normalizer": 0}
