"""The figures of an event for a person: posts by time in a span, and what they were, the most frequent first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

from msgspec import Struct

from app.domain.activity import Activity
from app.domain.counting import MINUTE_MS

Span: TypeAlias = Literal["hour", "day", "fortnight", "all"]
SPANS: tuple[Span, ...] = get_args(Span)

MOST_BARS = 120
MOST_TOP = 20
RATE_MINUTES = 5
_HOUR = 60
_DAY = 24 * _HOUR
_STEPS: dict[Span, tuple[int, int]] = {"hour": (1, 60), "day": (_HOUR, 24), "fortnight": (4 * _HOUR, 84)}


class Series(Struct, frozen=True):
    """Posts by the time at which they were made. Times are milliseconds since 1970; the last step may not be over."""

    span: Span
    since: int
    step: int  # milliseconds
    posts: tuple[int, ...]

    @property
    def until(self) -> int:
        """The end of the last step."""
        return self.since + self.step * len(self.posts)


class Share(Struct, frozen=True):
    """How many posts had something. `posts` may be too low by `Figures.forgotten` of its kind, never too high."""

    name: str
    posts: int


class Figures(Struct, frozen=True):
    """What is known of an event's posts without looking at them."""

    posts: int
    per_minute: float  # in the last five whole minutes
    series: Series
    keywords: tuple[Share, ...]
    languages: tuple[Share, ...]
    hashtags: tuple[Share, ...]
    accounts: tuple[Share, ...]
    sources: tuple[Share, ...]
    forgotten: dict[str, int]  # kind -> by how much a figure of it may be too low; none where all are exact


def figures(activity: Activity, span: Span, now: int) -> Figures:
    """The figures of an event, of the sum of its partitions, at a moment in milliseconds since 1970."""
    tops = {
        name: _top(getattr(activity, name)) for name in ("keywords", "languages", "hashtags", "accounts", "sources")
    }
    rate = per_minute(activity, now)
    return Figures(activity.posts, rate, series(activity, span, now), forgotten=activity.forgotten, **tops)


def per_minute(activity: Activity, now: int) -> float:
    """Posts a minute in the last whole minutes."""
    minute = now // MINUTE_MS
    return sum(activity.minutes.get(minute - ago, 0) for ago in range(1, RATE_MINUTES + 1)) / RATE_MINUTES


def series(activity: Activity, span: Span, now: int) -> Series:
    """Posts by time up to now; up to the newest ones where the span before now has none."""
    minute = now // MINUTE_MS
    if span == "all":
        return _all(activity.days, minute)
    step, count = _STEPS[span]
    counts, unit = (activity.minutes, 1) if span == "hour" else (activity.hours, _HOUR)
    newest = max((at * unit for at in counts if at * unit <= minute), default=None)
    last = minute if newest is None or newest > minute - step * count else newest
    first = (last // step - count + 1) * step
    posts = [0] * count
    for at, number in counts.items():
        if 0 <= (place := (at * unit - first) // step) < count:
            posts[place] += number
    return Series(span, first * MINUTE_MS, step * MINUTE_MS, tuple(posts))


def _all(days: Mapping[int, int], minute: int) -> Series:
    today = minute // _DAY
    known = {day: posts for day, posts in days.items() if day <= today}
    first, last = min(known, default=today), max(known, default=today)
    step = -(-(last - first + 1) // MOST_BARS)
    posts = [0] * -(-(last - first + 1) // step)
    for day, number in known.items():
        posts[(day - first) // step] += number
    return Series("all", first * _DAY * MINUTE_MS, step * _DAY * MINUTE_MS, tuple(posts))


def _top(counts: Mapping[str, int]) -> tuple[Share, ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Share(name, posts) for name, posts in ordered[:MOST_TOP])
