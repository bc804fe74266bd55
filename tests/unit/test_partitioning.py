"""Buckets: the time inside an id, how a rate is laid out, and that a stored post keeps its place."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from app.domain.partitioning import (
    AIM_ROWS,
    DAY,
    FIRST_SNOWFLAKE,
    HOUR,
    LEAD_MS,
    MINUTE,
    TEN_MINUTES,
    UNDATED,
    BucketRule,
    bucket_of,
    kafka_partition,
    next_rule,
    rule_for,
    time_in_id,
)
from tests.builders import snowflake

NOON = int(datetime(2024, 5, 1, 12, tzinfo=UTC).timestamp() * 1000)
ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"


def tid(microseconds: int, clock: int = 0) -> str:
    """Record key of atproto, written apart from the code under test."""
    number = microseconds << 10 | clock
    return "".join(ALPHABET[number >> shift & 31] for shift in range(60, -1, -5))


@pytest.mark.parametrize(
    ("post_id", "moment"),
    [
        # The first snowflake that X made.
        (str(FIRST_SNOWFLAKE), "2010-11-04T01:43:01.738"),
        (str(snowflake(NOON + 123, 4095)), "2024-05-01T12:00:00.123"),
        (tid(1_714_564_800_123_456, 1023), "2024-05-01T12:00:00.123"),
        ("at://did:plc:abc/app.bsky.feed.post/" + tid(1_714_564_800_123_456), "2024-05-01T12:00:00.123"),
        # Digits alone are X's, though they could be a record key of 1970.
        ("2222222222222", "2010-11-04T01:51:44.476"),
    ],
)
def test_the_time_in_an_id(post_id: str, moment: str) -> None:
    found = time_in_id(post_id)
    assert found is not None
    assert datetime.fromtimestamp(found / 1000, UTC).isoformat(timespec="milliseconds") == f"{moment}+00:00"


@pytest.mark.parametrize(
    "post_id",
    ["20", str(FIRST_SNOWFLAKE - 1), str(1 << 63), "9" * 40, "٣٣٣٣٣٣٣٣٣٣٣٣٣٣٣", "abc", "", "-1", "1.5", "z" * 13,
     "kkkkkkkkkkkkk", "3jui7kd54zh2", "3jui7kd54zh2yy", "3jui7kd54zh21", "https://x.example/1"],
)  # fmt: skip
def test_ids_that_carry_no_time(post_id: str) -> None:
    assert time_in_id(post_id) is None


def test_the_documented_record_key_carries_its_time() -> None:
    found = time_in_id("3jui7kd54zh2y")  # from atproto's page on record keys
    assert found is not None
    assert datetime.fromtimestamp(found / 1000, UTC).year == 2023


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.115, 0.12, 1, 2.7, 3, 10, 16, 17, 57, 166, 167, 1000, 5700, 100_000])
def test_a_rate_fills_its_buckets_well(rate: float) -> None:
    rule = rule_for(rate)
    rows = rate * rule.seconds / rule.shards
    assert rows <= AIM_ROWS
    assert rows >= 400 or rule.seconds == DAY


def test_a_burst_of_ten_times_the_rate_stays_within_the_limit() -> None:
    assert all(
        10 * rate * rule.seconds / rule.shards <= 100_000 for rate in (0.1, 1, 57, 5700) for rule in [rule_for(rate)]
    )


def test_the_shards_of_a_bucket_get_even_shares() -> None:
    rules = (rule_for(5700),)
    names = Counter(bucket_of(rules, str(snowflake(NOON + number // 6, number)), None)[0] for number in range(342_000))
    assert len(names) == rules[0].shards == 35
    assert max(names.values()) < 1.05 * AIM_ROWS


@pytest.mark.parametrize(
    ("rule", "bucket"),
    [
        (BucketRule(since=0, seconds=DAY, shards=1), ("2024-05-01T00:00:00.0", NOON - 12 * HOUR * 1000, DAY)),
        (BucketRule(since=0, seconds=HOUR, shards=1), ("2024-05-01T12:00:00.0", NOON, HOUR)),
        (BucketRule(since=0, seconds=TEN_MINUTES, shards=1), ("2024-05-01T12:20:00.0", NOON + 1_200_000, TEN_MINUTES)),
        (BucketRule(since=0, seconds=MINUTE, shards=1), ("2024-05-01T12:25:00.0", NOON + 1_500_000, MINUTE)),
        (BucketRule(since=NOON * 2, seconds=HOUR, shards=1), ("2024-05-01T12:00:00.0", NOON, HOUR)),
    ],
)
def test_the_bucket_of_a_post(rule: BucketRule, bucket: tuple[str, int, int]) -> None:
    post_id = str(snowflake(NOON + 1_500_999))
    assert bucket_of((rule,), post_id, None) == bucket
    assert bucket_of((rule,), post_id, 5) == bucket
    assert bucket_of((rule,), "20", NOON + 1_500_999) == bucket


def test_a_post_without_any_time() -> None:
    assert bucket_of((rule_for(1),), "20", None) == (UNDATED, 0, 0)


def test_an_event_without_rules_is_laid_out_like_a_new_one() -> None:
    assert bucket_of((), str(snowflake(NOON)), None) == bucket_of((rule_for(1),), str(snowflake(NOON)), None)


def test_an_older_post_keeps_its_bucket_when_a_rule_is_appended() -> None:
    rules = [rule_for(1)]
    since = NOON
    posts = [str(snowflake(NOON + offset * 1000)) for offset in range(-7200, 7200, 7)]
    for rate, offset in ((5700, 22_000), (1, 65_000), (100, 3_600_000), (0.01, 3_700_000)):
        before = {post: bucket_of(tuple(rules), post, None) for post in posts}
        since = NOON + offset
        rules.append(rule_for(rate, since))
        for post, bucket in before.items():
            if (time_in_id(post) or 0) < since:
                assert bucket_of(tuple(rules), post, None) == bucket


@pytest.mark.parametrize(("first", "second"), [(1, 5700), (5700, 1), (57, 0.01), (0.01, 57)])
def test_two_rules_never_share_a_bucket(first: float, second: float) -> None:
    since = NOON + 22_000
    rules = (rule_for(first), rule_for(second, since))
    buckets: dict[str, set[bool]] = {}
    for offset in range(-90_000, 90_000, 500):
        name, start, seconds = bucket_of(rules, str(snowflake(NOON + offset)), None)
        assert start <= NOON + offset < start + seconds * 1000
        buckets.setdefault(name, set()).add(NOON + offset >= since)
    assert all(len(sides) == 1 for sides in buckets.values())
    assert len({name for name in buckets if buckets[name] == {True}}) >= 1


def test_partitions_of_the_topic_are_even_and_stay() -> None:
    ids = [str(snowflake(NOON, number)) for number in range(4096)]
    places = [kafka_partition(post_id, 8) for post_id in ids]
    assert places == [kafka_partition(post_id, 8) for post_id in ids]
    assert all(400 < count < 620 for count in Counter(places).values())
    assert set(places) == set(range(8))


def test_where_a_stored_post_lies_is_fixed() -> None:
    # These are stored: a change of either would store and count every post a second time.
    post_id = str(snowflake(NOON, 7))
    assert kafka_partition(post_id, 8) == 1
    rules = (BucketRule(since=0, seconds=MINUTE, shards=35),)
    assert bucket_of(rules, post_id, None)[0] == "2024-05-01T12:00:00.14"


# ---- a day of posts, in partitions

# Of a row of `tweet_raw`, the widest: real posts have 4.4 kB (benchmarks/README.md), a hundred bytes more are its key.
ROW_BYTES = 4_500


def a_day(rules: tuple[BucketRule, ...], rate: int, every: int) -> list[int]:
    """Rows of each partition that one minute in so many of a day fills, whole buckets of one minute or more."""
    return sorted(
        Counter(
            bucket_of(rules, str(snowflake(NOON + minute * 60_000 + number * 1000 // rate, number)), None)[0]
            for minute in range(0, 1440, every)
            for number in range(rate * MINUTE)
        ).values()
    )


@pytest.mark.parametrize("grown", [False, True], ids=["expected", "grown"])
@pytest.mark.parametrize(("rate", "every"), [(1, 1), (57, 30), (5700, 720)])
def test_the_partitions_of_a_day(rate: int, every: int, grown: bool) -> None:
    rules: tuple[BucketRule, ...] = (rule_for(rate),)
    if grown:  # nobody had told of it, and it has lasted for a while
        before = NOON - HOUR * 1000
        learned = next_rule((rule_for(1),), {before // 60_000 - 1: rate * 60}, before)
        rules = (rule_for(1), *([learned] if learned else []))
    rows = a_day(rules, rate, every)
    assert sum(rows) == rate * MINUTE * len(range(0, 1440, every))
    assert rows[-1] <= 1.05 * AIM_ROWS
    assert rows[-1] * ROW_BYTES <= 100_000_000
    assert rows[len(rows) // 2] >= 1_000


@pytest.mark.parametrize("rate", [0.3, 1.45, 2, 3, 8, 9, 12, 16, 17, 34, 57, 166, 300, 5700])
def test_a_thousand_posts_an_hour_fill_partitions_of_a_thousand(rate: float) -> None:
    grown = [next_rule((rule_for(before),), minutes(rate, 3), NOON) for before in (0.01, 1, 2.7)]
    calmed = next_rule((rule_for(1), rule_for(100_000, NOON - 2 * HOUR * 1000)), minutes(rate), NOON)
    assert all(rate * rule.seconds / rule.shards >= 1000 for rule in (*grown, calmed) if rule is not None)
    assert calmed is not None


@pytest.mark.parametrize("rate", [57, 5700])
def test_a_burst_that_nobody_expected_is_laid_out_in_time(rate: int) -> None:
    """Each post is stored by the rules of its moment; the manager looks every two seconds."""
    rules: tuple[BucketRule, ...] = (rule_for(1),)
    rows: Counter[str] = Counter()
    for second in range(61):
        now = NOON + second * 1000
        seen = {NOON // 60_000 + past: rate * min(60, second - 60 * past) for past in range(second // 60 + 1)}
        if second % 2 == 0 and (rule := next_rule(rules, seen, now)) is not None:
            rules = (*rules, rule)
        posts = range(second * rate, (second + 1) * rate)
        rows.update(bucket_of(rules, str(snowflake(now + number % 1000, number)), None)[0] for number in posts)
    assert max(rows.values()) <= 100_000


# ---- next_rule: when a rule is appended


def minutes(rate: float, count: int = 120) -> dict[int, int]:
    """So many posts a second in each of the minutes up to noon."""
    return {NOON // 60_000 - back: int(rate * 60) for back in range(1, count)}


def capacity(rule: BucketRule) -> float:
    return AIM_ROWS * rule.shards / rule.seconds


@pytest.mark.parametrize("rate", [3, 10, 57, 1000, 5700])
def test_a_rate_that_grows_is_laid_out_finer_with_room_to_grow(rate: float) -> None:
    rule = next_rule((rule_for(1),), minutes(rate, 3), NOON)
    assert rule is not None
    assert capacity(rule) >= 2 * rate * 0.98
    assert rule.since >= NOON + LEAD_MS
    assert rule.since % 1000 == 0


def test_a_burst_is_seen_in_the_running_minute() -> None:
    now = NOON + 10_000
    rule = next_rule((rule_for(1),), {now // 60_000: 57_000}, now)
    assert rule is not None
    assert capacity(rule) >= 5700


@pytest.mark.parametrize("rate", [0, 0.5, 1, 2.7])
def test_a_rate_that_fits_changes_nothing(rate: float) -> None:
    assert next_rule((rule_for(1),), minutes(rate), NOON) is None


def test_a_rule_that_is_to_come_is_waited_for() -> None:
    assert next_rule((rule_for(1), rule_for(10, NOON + 5000)), minutes(5700), NOON) is None


def test_after_a_calm_hour_it_is_laid_out_coarser() -> None:
    rules = (rule_for(1), rule_for(5700, NOON - 2 * HOUR * 1000))
    rule = next_rule(rules, minutes(1), NOON)
    assert rule is not None
    assert capacity(rule) < capacity(rules[-1])
    assert capacity(rule) >= 2


def test_within_the_hour_it_stays_as_it_is() -> None:
    rules = (rule_for(1), rule_for(5700, NOON - HOUR * 500))
    assert next_rule(rules, minutes(1), NOON) is None
    busy = {NOON // 60_000 - 50: 342_000}
    rules = (rule_for(1), rule_for(5700, NOON - 2 * HOUR * 1000))
    assert next_rule(rules, busy, NOON) is None


def test_the_first_rule_is_never_made_coarser() -> None:
    assert next_rule((rule_for(5700),), {}, NOON) is None


def test_an_event_without_rules_gets_one_when_it_needs_it() -> None:
    assert next_rule((), minutes(57, 3), NOON) is not None
    assert next_rule((), {}, NOON) is None
