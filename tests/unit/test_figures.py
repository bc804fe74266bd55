"""Figures of an event: which posts fall into which step of a span, what is most frequent, and how exact that is."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import activity as activities
from app.domain.activity import Activity, merge
from app.domain.counting import MINUTE_MS, Seen
from app.domain.figures import MOST_BARS, MOST_TOP, SPANS, Share, Span, figures, per_minute, series

HOUR_MS, DAY_MS = 60 * MINUTE_MS, 1440 * MINUTE_MS
NOW = 20_000 * DAY_MS + 13 * HOUR_MS + 30 * MINUTE_MS + 12_345


def counted(*ages: int) -> Activity:
    """Posts that were made so many milliseconds ago."""
    activity = Activity()
    for number, ago in enumerate(ages):
        activity.count(Seen(0, (number, 0, 0), NOW - ago, ("flood",), "en", (), "ann", "x"))
    return activity


@pytest.mark.parametrize(
    ("span", "step", "count"), [("hour", MINUTE_MS, 60), ("day", HOUR_MS, 24), ("fortnight", 4 * HOUR_MS, 84)]
)
def test_a_span_ends_with_the_step_of_now(span: Span, step: int, count: int) -> None:
    found = series(counted(0, 0, step), span, NOW)
    assert (found.step, len(found.posts)) == (step, count)
    assert found.posts[-2:] == (1, 2)
    assert found.until - step <= NOW < found.until
    assert found.since % step == 0


def test_what_is_older_than_the_span_or_lies_in_the_future_is_not_in_it() -> None:
    activity = counted(0, 59 * MINUTE_MS, 60 * MINUTE_MS, -5 * MINUTE_MS)
    assert sum(series(activity, "hour", NOW).posts) == 2


@pytest.mark.parametrize(("span", "age"), [("hour", 3 * HOUR_MS), ("day", 5 * DAY_MS), ("fortnight", 13 * DAY_MS)])
def test_a_span_without_posts_gives_way_to_the_one_that_ends_with_the_newest(span: Span, age: int) -> None:
    found = series(counted(age, age), span, NOW)
    assert sum(found.posts) == 2
    if span != "fortnight":
        assert found.posts[-1] == 2
        assert found.since <= NOW - age < found.until


@pytest.mark.parametrize("span", SPANS)
def test_an_event_without_posts_has_an_empty_span(span: Span) -> None:
    found = series(Activity(), span, NOW)
    assert sum(found.posts) == 0
    assert found.since <= NOW < found.until


@pytest.mark.parametrize("days", [1, 5, MOST_BARS, MOST_BARS + 1, 700])
def test_all_of_a_long_event_is_in_few_steps(days: int) -> None:
    found = series(counted(*(number * DAY_MS for number in range(days))), "all", NOW)
    assert sum(found.posts) == days
    assert len(found.posts) <= MOST_BARS
    assert found.step % DAY_MS == 0


def test_the_rate_is_of_whole_minutes() -> None:
    assert per_minute(counted(0, 0, 0), NOW) == 0
    assert per_minute(counted(*[MINUTE_MS] * 5, *[5 * MINUTE_MS] * 5, 6 * MINUTE_MS), NOW) == 2


def test_the_most_frequent_come_first_and_are_few() -> None:
    activity = Activity(keywords={f"word{number:03}": number // 2 for number in range(100)})
    found = figures(activity, "hour", NOW).keywords
    assert len(found) == MOST_TOP
    assert found[:3] == (Share("word098", 49), Share("word099", 49), Share("word096", 48))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12).map(lambda number: number * number % 13)), max_size=300),
    st.integers(1, 5),
)
def test_figures_are_never_too_high_and_too_low_by_no_more_than_what_was_forgotten(
    posts: list[tuple[int, int]], top: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(activities, "TOP", top)
        parts = [Activity(), Activity(), Activity()]
        for number, (part, tag) in enumerate(posts):
            parts[part].count(Seen(0, (number, 0, 0), None, (), "en", (f"tag{tag}",), None, "x"))
        total = merge(parts)
    truth = Counter(f"tag{tag}" for _, tag in posts)
    missing = total.forgotten.get("hashtags", 0)
    for tag, count in truth.items():
        told = total.hashtags.get(tag, 0)
        assert told <= count <= told + missing
    assert total.hashtags.keys() <= truth.keys()
    assert all(len(part.hashtags) <= 2 * top for part in parts)
