"""What workers count of an event while it happens is what Spark finds of the same time in what they have stored."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace
from pyspark.sql import DataFrame, SparkSession

from analysis.accounts import accounts_by_posts
from analysis.posts import posts
from analysis.times import bursts as batch_bursts
from analysis.traits import links, top_hashtags
from app.domain import bursts as module
from app.domain.activity import Activity
from app.domain.bursts import bursts
from app.domain.counting import MINUTE_MS, Seen
from app.domain.rows import Row
from app.domain.trends import WINDOWS, Minute, Trend, Window, minute_of, trends, window_of
from tests.support.analysed import collected

EVERY = 1_000_000


def seen(made: list[Row]) -> list[Seen]:
    """The posts of an event in an order of their own, each heard when it was made."""
    flood = [row.seen() for row in made if row.code == "flood"]
    random.Random(5).shuffle(flood)
    return [replace(one, position=(at, 0, 0), received_ms=one.created_ms) for at, one in enumerate(flood)]


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


ANALYSES: list[tuple[str, Callable[[DataFrame], DataFrame], Callable[[dict[str, Any]], Trend]]] = [
    ("hashtags", top_hashtags, lambda row: Trend(row["hashtag"], row["posts"])),
    ("accounts", accounts_by_posts, lambda row: Trend(row["account"], row["posts"], row["screen_name"])),
    ("links", links, lambda row: Trend(row["link"], row["posts"])),
]


@pytest.mark.parametrize("window", WINDOWS)
def test_trends_are_those_of_the_stored_posts(spark: SparkSession, made: list[Row], window: Window) -> None:
    parts: dict[tuple[int, int], Minute] = {}
    for number, one in enumerate(seen(made)):
        minute = minute_of(one)
        assert minute is not None
        part = parts.setdefault((minute, number % 3), Minute())
        assert part.count(one)
        part.trim()
    newest = max(minute for (minute, _), part in parts.items() if part.hashtags and part.links)
    first, end = window_of({minute for minute, _ in parts}, window, (newest + 1) * MINUTE_MS)
    within = ((minute, part) for (minute, _), part in parts.items() if first <= minute < end)
    found = trends(window, first, within, EVERY)
    stored = posts(spark, "flood", at(found.since), at(found.until)).cache()
    for kind, analysis, trend in ANALYSES:
        due = [trend(row) for row in collected(analysis(stored))]
        assert list(getattr(found, kind)) == due, kind
        assert due, kind
    assert found.posts == stored.count()
    assert found.forgotten == {}
    assert window == 1 or max(one.posts for one in found.hashtags) > 1


def test_bursts_are_those_of_the_stored_posts(
    spark: SparkSession, made: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMES", 1.2)
    monkeypatch.setattr(module, "LEAST", 2)
    activity = Activity()
    for one in seen(made):
        activity.count(one)
    now = (max(activity.minutes) + 3) * MINUTE_MS
    for window in WINDOWS:
        found = bursts(activity, window, now)
        stored = posts(spark, "flood", at(found.since), at(found.until), ["t_created_at"])
        rows = collected(batch_bursts(stored, window, times=1.2, least=2))
        due = [(row["since"].replace(tzinfo=UTC), row["posts"], row["usual"]) for row in reversed(rows)]
        assert [(at(one.since), one.posts, one.usual) for one in found.bursts] == due
        assert due
