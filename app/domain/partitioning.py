"""Where a post goes: its partition of `classified_tweets` and its bucket (partition) of the `tweet` table.

The first follows from the post's id, the second from the event too, and from nothing else: a post written twice is
written once.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache
from zlib import crc32

from msgspec import Struct

DAY, HOUR, TEN_MINUTES, MINUTE = 86_400, 3_600, 600, 60
# A rate that grows is laid out for twice as much: with steps of five at most, its buckets still have 1,000 rows.
LENGTHS = (DAY, HOUR, 1_800, TEN_MINUTES, 120, MINUTE)

# Aim for a partition: raw JSON is 4 kB a post, so 25,000 rows are 100 MB; 10,000 leave room for a rate that grows.
AIM_ROWS = 10_000

# Ids made before 2010-11-04 counted up and carry no time. First snowflake and epoch: X's own "twitter_cldr" and docs.
FIRST_SNOWFLAKE = 29_700_859_247
SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
# Bluesky record keys: 13 characters of sortable base 32, microseconds in the upper 53 bits (atproto TID).
_TID_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"
_TID_DIGITS = {char: value for value, char in enumerate(_TID_ALPHABET)}
_TID_LENGTH = 13

UNDATED = "undated"

# Every process must know a new rule before the first post of its time arrives. Views are fresh within 0.1 s; the rest
# is for the command's way to the manager.
SPREAD_MS = 2_000
LEAD_MS = 10_000
_QUIET_MINUTES = 60


class BucketRule(Struct, frozen=True, kw_only=True):
    """From `since` (ms, post time) on, a bucket spans `seconds` and is split into `shards` by the post's id."""

    since: int
    seconds: int
    shards: int

    def is_ahead(self, now_ms: int) -> bool:
        """Whether every process can know the rule before the first post of its time is stored."""
        return self.since >= now_ms + SPREAD_MS


def rule_for(rate: float, since: int = 0) -> BucketRule:
    """The rule that gives 400 to 10,000 rows a bucket at `rate` posts a second (fewer only where a day has fewer)."""
    for seconds in LENGTHS:
        if rate * seconds <= AIM_ROWS:
            return BucketRule(since=since, seconds=seconds, shards=1)
    return BucketRule(since=since, seconds=MINUTE, shards=math.ceil(rate * MINUTE / AIM_ROWS))


# What a new event is laid out for unless its writer expects another rate: up to about three posts a second.
EXPECTED_RATE = 1.0
_DEFAULT = rule_for(EXPECTED_RATE)  # for an event that something else than a command has written


def time_in_id(post_id: str) -> int | None:
    """Milliseconds since 1970 that the post's id carries, or None."""
    if post_id.isascii() and post_id.isdigit():
        number = int(post_id)
        return (number >> 22) + SNOWFLAKE_EPOCH_MS if FIRST_SNOWFLAKE <= number < 1 << 63 else None
    key = post_id.rpartition("/")[2]
    if len(key) == _TID_LENGTH and all(char in _TID_DIGITS for char in key) and key[0] in "234567abcdefghij":
        value = 0
        for char in key:
            value = value << 5 | _TID_DIGITS[char]
        return (value >> 10) // 1000
    return None


def moment_of(post_id: str, created_ms: int | None) -> int | None:
    """The time of a post by which it is stored and found, in milliseconds since 1970: its id's, else `created_ms`."""
    moment = time_in_id(post_id)
    return moment if moment is not None else created_ms


def bucket_of(rules: tuple[BucketRule, ...], post_id: str, created_ms: int | None) -> tuple[str, int, int]:
    """Bucket of a post: its name, first moment (ms) and length (seconds; 0 where the post has no time at all).

    `rules` ascend; the first holds for all posts before the second, whatever its `since`.
    """
    moment = moment_of(post_id, created_ms)
    if moment is None:
        return UNDATED, 0, 0
    at = len(rules) - 1
    while at > 0 and rules[at].since > moment:  # from the end: nearly all posts are new
        at -= 1
    rule = rules[at] if rules else _DEFAULT
    start = moment // 1000 // rule.seconds * rule.seconds
    length = rule.seconds
    if at > 0 and start < (since := rule.since // 1000):
        # Begun under the rule before, which has filled a bucket of that name.
        start, length = since, start + length - since
    shard = crc32(post_id.encode()) % rule.shards if rule.shards > 1 else 0
    return _bucket_name(start, shard), start * 1000, length


@lru_cache(maxsize=4096)
def _bucket_name(start: int, shard: int) -> str:
    return f"{datetime.fromtimestamp(start, UTC):%Y-%m-%dT%H:%M:%S}.{shard}"


def kafka_partition(post_id: str, partitions: int) -> int:
    """Partition of `classified_tweets`: a post's own, so that one hot event spreads over all of them.

    The same for all events of a post: what is sent several times is compressed, read and normalized together.
    """
    return crc32(post_id.encode()) % partitions


def next_rule(rules: tuple[BucketRule, ...], minutes: dict[int, int], now_ms: int) -> BucketRule | None:
    """The rule to append, seeing how many posts each minute (since 1970) had; None where the last one still fits.

    Finer as soon as the last minute or the running one asks for it; coarser only after an hour that asked for it.
    """
    last = rules[-1] if rules else _DEFAULT
    if now_ms < last.since:
        return None
    minute, elapsed = divmod(now_ms // 1000, 60)
    rate = max(minutes.get(minute - 1, 0) / 60, minutes.get(minute, 0) / max(elapsed, 10))
    since = math.ceil((now_ms + LEAD_MS) / 1000) * 1000  # a bucket's name tells seconds
    if _capacity(rule_for(rate)) > _capacity(last):
        return rule_for(2 * rate, since)
    hour = [minutes.get(minute - back, 0) / 60 for back in range(_QUIET_MINUTES)]
    calm = rule_for(2 * max(hour), since)
    settled = now_ms - last.since > _QUIET_MINUTES * 60_000 and len(rules) > 1
    return calm if settled and _capacity(calm) * 2 < _capacity(last) else None


def _capacity(rule: BucketRule) -> float:
    """Posts a second that fill its buckets to the aim."""
    return AIM_ROWS * rule.shards / rule.seconds
