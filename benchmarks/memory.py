"""What a worker holds of memory while a million posts pass through it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

from app.roles import Role
from benchmarks.data import sparse_case
from benchmarks.lab import Lab
from benchmarks.report import Result

SECTION = "memory"
MB = 2**20
AT_MOST_MB = 300
FLAT_MB = 15  # growth over the last third: what it would be at ten million posts must still fit
EVERY = 0.5
PATIENCE = 900


def measure(lab: Lab, stream_posts: int, total: int) -> Iterator[Result]:
    """Feed the stream as often as that makes so many posts, and look at the worker twice a second."""
    case = sparse_case(lab.corpus, lab.directory, stream_posts)
    rounds = max(1, total // case.posts)
    samples: list[tuple[int, float]] = []
    with lab.contest() as contest:
        one = contest.starling("Starling", Role.WORKER, case.events)
        contest.settle()
        started = one.processes[0].rss() / MB
        deadline = time.monotonic() + PATIENCE
        for number in range(rounds):
            feeding = subprocess.Popen(contest.feeding(one, case.stream, case.posts))
            while feeding.poll() is None or not contest.through(one):
                samples.append((number, one.processes[0].rss() / MB))
                if time.monotonic() > deadline:
                    raise TimeoutError("the worker has not come through")
                time.sleep(EVERY)
    posts = rounds * case.posts
    peak = max(held for _, held in samples)
    third = [held for _, held in samples[-len(samples) // 3 :]]
    slope = _slope(third)
    note = f"after {posts:,} posts; {started:.0f} MB at start, {samples[-1][1]:.0f} MB at the end"
    yield Result(SECTION, case.name, "most held", peak, "MB", AT_MOST_MB, at_most=True, note=note)
    yield Result(SECTION, case.name, "growth over the last third", slope, "MB", FLAT_MB, at_most=True)


def _slope(values: list[float]) -> float:
    """Growth from begin to end by a straight line through all values (least squares)."""
    count = len(values)
    if count < 3:
        return 0.0
    middle, average = (count - 1) / 2, sum(values) / count
    above = sum((number - middle) * (value - average) for number, value in enumerate(values))
    below = sum((number - middle) ** 2 for number in range(count))
    return above / below * (count - 1)
