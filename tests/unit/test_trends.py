"""What is frequent just now: exact through records that come again, bounded, and how exact it is then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain import trends as module
from app.domain.activity import Activity
from app.domain.bursts import Burst, bursts
from app.domain.counting import MINUTE_MS, Seen
from app.domain.trends import (
    AHEAD_MS,
    MOST_CHARACTERS,
    TOP,
    Author,
    Lane,
    Minute,
    Trend,
    decode_minute,
    lane_of,
    minute_of,
    trends,
    window_of,
)

NOON = 28_800_720  # minutes since 1970
NOON_MS = NOON * MINUTE_MS


def seen(offset: int, ms: int = 0, **more: Any) -> Seen:
    given = {
        "created_ms": NOON_MS + ms,
        "keywords": ("flood",),
        "language": "de",
        "hashtags": (),
        "account": "ann",
        "source": "x",
        "author": "7",
        "screen_name": "ann",
        "received_ms": NOON_MS + ms,
    }
    return Seen(raw_partition=0, position=(offset, 0, 0), **given | more)


def counted(posts: Iterable[Seen], minute: Minute | None = None) -> Minute:
    minute = Minute() if minute is None else minute
    for one in posts:
        minute.count(one)
    return minute


def reloaded(minute: Minute) -> Minute:
    return decode_minute(msgspec.json.encode(minute))


def test_what_is_counted_of_a_post() -> None:
    links = ("https://a.example", "https://b.example", "https://a.example")
    assert counted([seen(1, 250, hashtags=("Flut", "FLUT", "", "Damm"), links=links)]) == Minute(
        positions={"0": (1, 0, 0)},
        posts=1,
        hashtags={"flut": 1, "damm": 1},
        accounts={"7": Author(1, 250, "ann")},
        links={"https://a.example": 1, "https://b.example": 1},
    )
    assert counted([seen(1, author=None, screen_name=None)]).accounts == {}


def test_an_account_has_its_newest_name_in_whatever_order_its_posts_come() -> None:
    told = [seen(1, 5, screen_name="new"), seen(2, 1, screen_name="old"), seen(3, 9, screen_name=None)]
    assert counted(told).accounts == {"7": Author(3, 5, "new")}
    earlier, later = counted(told), counted([seen(4, screen_name="newer"), seen(5, author="@eve", screen_name=None)])
    for parts in ([(NOON, earlier), (NOON + 1, later)], [(NOON + 1, later), (NOON, earlier)]):
        accounts = trends(10, NOON - 8, parts).accounts
        assert accounts == (Trend("7", 4, "newer"), Trend("@eve", 1))


def test_records_that_are_read_again_change_nothing() -> None:
    posts = [
        seen(number, number, hashtags=(f"t{number % 3}",), rematch=7 if number > 30 else 0) for number in range(60)
    ]
    whole = counted(posts)
    for restart in range(0, 60, 7):
        assert counted(posts[restart // 2 :], reloaded(counted(posts[:restart]))) == whole


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 3), st.sampled_from(["", "removed", "redacted", "both"])),
        max_size=40,
    ),
    st.integers(0, 40),
)
def test_what_is_taken_back_is_as_if_it_had_not_come(posts: list[tuple[int, int, Any]], restart: int) -> None:
    """Once each, however often it is said; of a post that is redacted it is known that there was one."""
    given_posts = [
        seen(number, hashtags=(f"t{tag}", f"T{tag}"), links=(f"l{tag}",) * tag, author=f"a{author}", screen_name=None)
        for number, (tag, author, _) in enumerate(posts)
    ]
    whole = counted(given_posts)
    words = []
    for post, (_, _, fate) in zip(given_posts, posts, strict=True):
        steps = {"": [], "both": [("redacted", None), ("removed", "redacted")]}.get(fate, [(fate, None)])
        words += [replace(post, fate=to, was=was) for to, was in steps]
    for at, post in enumerate(words[:restart]):
        assert whole.retract((at, 0), [post])
    whole = reloaded(whole)
    for at, post in enumerate(words):
        assert whole.retract((at, 0), [post]) is (at >= restart)
    left = counted(post for post, (_, _, fate) in zip(given_posts, posts, strict=True) if not fate)
    assert (whole.hashtags, whole.links, whole.accounts) == (left.hashtags, left.links, left.accounts)
    assert whole.posts == left.posts + sum(fate == "redacted" for _, _, fate in posts)


@pytest.mark.parametrize(
    ("created", "counts"),
    [(0, NOON), (AHEAD_MS, NOON + 5), (AHEAD_MS + 1, None), (-1, NOON - 1)],
)
def test_a_post_from_the_future_is_of_no_minute(created: int, counts: int | None) -> None:
    assert minute_of(seen(1, created, received_ms=NOON_MS)) == counts
    assert minute_of(seen(1, created_ms=None)) is None


def test_a_window_is_of_whole_minutes_the_last_that_have_posts() -> None:
    now = NOON_MS + 30_000
    assert window_of([], 10, now) == (NOON - 10, NOON)
    assert window_of([NOON], 10, now) == (NOON - 10, NOON), "the minute that runs is no part of it"
    assert window_of([NOON - 10, NOON, NOON + 3], 10, now) == (NOON - 10, NOON)
    assert window_of([NOON - 11, NOON], 10, now) == (NOON - 20, NOON - 10)
    assert window_of([NOON - 5000], 1, now) == (NOON - 5000, NOON - 4999)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12).map(lambda number: number * number % 13)), max_size=200),
    st.integers(1, 4),
    st.integers(1, 30),
)
def test_figures_are_never_too_high_and_too_low_by_no_more_than_is_said(
    posts: list[tuple[int, int]], top: int, batch: int
) -> None:
    parts = [Minute(), Minute(), Minute()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TOP", top)
        for number, (part, tag) in enumerate(posts):
            parts[part].count(seen(number, hashtags=(f"t{tag}",), author=f"a{tag}", links=(f"l{tag}",)))
            if number % batch == 0:
                parts[part].trim()
                assert len(parts[part].hashtags) <= 2 * top
    found = trends(10, NOON, ((NOON, part) for part in parts))
    truth = Counter(tag for _, tag in posts)
    for kind, prefix in (("hashtags", "t"), ("accounts", "a"), ("links", "l")):
        told = {one.name: one.posts for one in getattr(found, kind)}
        missing = found.forgotten.get(kind, 0)  # type: ignore[call-overload]
        for tag, count in truth.items():
            known = told.get(f"{prefix}{tag}", 0)
            assert known <= count <= known + missing
        assert missing or len(told) == len(truth)


def test_of_too_many_or_too_long_names_the_frequent_stay() -> None:
    many = Minute(hashtags={f"t{number:04}": 1 + number // 500 for number in range(2 * TOP + 1)}, links={"l": 1})
    many.trim()
    assert (len(many.hashtags), many.forgotten) == (TOP, {"hashtags": 1})
    assert "t0500" in many.hashtags
    assert many.links == {"l": 1}
    long = "x" * MOST_CHARACTERS
    odd = Minute(links={long: 9, "short": 2, "other": 1})
    odd.trim()
    assert (odd.links, odd.forgotten) == ({"short": 2, "other": 1}, {"links": 9})


@given(st.dictionaries(st.integers(0, 150), st.integers(1, 60), max_size=60), st.integers(0, 160))
def test_a_burst_is_three_times_what_was_usual(minutes: dict[int, int], now: int) -> None:
    found = bursts(Activity(minutes=minutes), 1, now * MINUTE_MS)
    due = []
    first = min(minutes, default=0)
    for minute in sorted(minutes):
        before = range(max(first, minute - 60), minute)
        if minute < now and before:
            usual = sum(minutes.get(one, 0) for one in before) / len(before)
            if minutes[minute] >= 10 and minutes[minute] >= 3 * usual:
                due.append(Burst(minute * MINUTE_MS, minutes[minute], usual))
    assert list(reversed(found.bursts)) == due
    assert found.until == now * MINUTE_MS


def test_windows_are_named_by_keys() -> None:
    lane = Lane("2012-sandy", 12, 3)
    assert lane.key(NOON) == f"2012-sandy|12|3|{NOON}"
    assert lane_of(lane.key(NOON)) == (lane, NOON)
