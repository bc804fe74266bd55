"""All topics, in the order in which a post (and before it, an event) passes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.settings import Settings

Partitions = Literal["many", "few", "one"]

# Event traffic is small; a few partitions let a few managers share it.
FEW = 4
# 8 MB: a record of 64 posts of 30 KB (a very long post with a long quote) still fits.
MAX_RECORD_BYTES = 8 * 1024 * 1024
# What is made of a record (a post of an event, a dead letter) has headers of ours on top and must fit all the same.
MAX_DERIVED_BYTES = 2 * MAX_RECORD_BYTES


@dataclass(frozen=True)
class Topic:
    """A topic as `starling migrate` makes it."""

    name: str
    partitions: Partitions
    compacted: bool = False
    retention_hours: float | None = None  # None: the broker's default; irrelevant where compacted
    # Only what lies in older files than the current one is compacted; the broker's default is a week of it.
    segment_minutes: float | None = None


EVENT_COMMANDS = Topic("event_commands", "few", retention_hours=24 * 7)
EVENT_RESULTS = Topic("event_results", "few", retention_hours=24)
EVENTS = Topic("events", "few", compacted=True)
RAW = Topic("raw_tweets", "many")  # retention: a setting
CLASSIFIED = Topic("classified_tweets", "many", retention_hours=24 * 7)
DEAD_LETTERS = Topic("dead_letters", "few", retention_hours=24 * 30)
COVERAGE = Topic("coverage", "few", compacted=True, segment_minutes=10)  # two records a second
TRACKER_LEASE = Topic("tracker_lease", "one", retention_hours=24)  # without records: who owns it may listen
ACTIVITY = Topic("activity", "few", compacted=True)
TRENDS = Topic("trends", "few", compacted=True, segment_minutes=10)  # each key lasts an hour
REMATCHES = Topic("rematches", "few", compacted=True)
PEOPLE = Topic("people", "one", compacted=True)
SPENT_TOKENS = Topic("spent_tokens", "one", retention_hours=24 * 31)  # longer than a link or a session counts
AUDIT = Topic("audit", "few", retention_hours=24 * 366)
NEWEST = Topic("newest", "few", compacted=True, segment_minutes=10)
PRESENCE = Topic("presence", "one", compacted=True, segment_minutes=10)
REPLAYED_LETTERS = Topic("replayed_letters", "one", retention_hours=24 * 30)  # as long as the letters themselves
EXPORTS = Topic("exports", "few", compacted=True, segment_minutes=60)
NOTICES = Topic("notices", "one", compacted=True)
MUTES = Topic("mutes", "one", compacted=True)

TOPICS = (
    EVENT_COMMANDS,
    EVENT_RESULTS,
    EVENTS,
    RAW,
    CLASSIFIED,
    DEAD_LETTERS,
    COVERAGE,
    TRACKER_LEASE,
    ACTIVITY,
    TRENDS,
    REMATCHES,
    PEOPLE,
    SPENT_TOKENS,
    AUDIT,
    NEWEST,
    PRESENCE,
    REPLAYED_LETTERS,
    EXPORTS,
    NOTICES,
    MUTES,
)


def full_name(topic: Topic, settings: Settings) -> str:
    """Name of the topic on the broker."""
    return settings.topic_prefix + topic.name


def partition_count(topic: Topic, settings: Settings) -> int:
    """Partitions that the topic shall have."""
    return {"many": settings.partitions, "few": FEW, "one": 1}[topic.partitions]
