"""Periods in which an event has many more posts than usual, as `analysis/times.py` finds them in stored posts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from msgspec import Struct

from app.domain.activity import Activity
from app.domain.counting import MINUTE_MS
from app.domain.trends import Window

TIMES = 3.0  # as many as is usual
BEFORE = 60  # periods, whose mean is usual
LEAST = 10  # posts


class Burst(Struct, frozen=True):
    """A period with many posts. Its begin is milliseconds since 1970; `usual` is the mean of the periods before."""

    since: int
    posts: int
    usual: float


class Bursts(Struct, frozen=True):
    """Bursts of a time, the newest first. `until` is the begin of the period that runs, which is no part of it."""

    window: Window
    since: int
    until: int
    bursts: tuple[Burst, ...]


def bursts(activity: Activity, window: Window, now: int) -> Bursts:
    """The bursts of an event by periods of `window` minutes, as far back as these are counted.

    `now` is milliseconds since 1970.
    """
    step = window * MINUTE_MS
    counts = {1: activity.minutes, 10: activity.tens, 60: activity.hours}[window]
    whole = {number: posts for number, posts in counts.items() if number < now // step}
    found = [Burst(number * step, posts, usual) for number, posts, usual in _bursts(whole)]
    first = min(whole, default=now // step)
    return Bursts(window, first * step, now // step * step, tuple(reversed(found)))


def _bursts(counts: Mapping[int, int]) -> Iterator[tuple[int, int, float]]:
    """Periods that are bursts, in their order, with what was usual; the first period is none."""
    past: deque[int] = deque()
    total = 0
    first = min(counts, default=0)
    for number in sorted(counts):
        while past and past[0] < number - BEFORE:
            total -= counts[past.popleft()]
        if number > first:
            usual = total / min(number - first, BEFORE)
            if counts[number] >= max(LEAST, usual * TIMES):
                yield number, counts[number], usual
        past.append(number)
        total += counts[number]
