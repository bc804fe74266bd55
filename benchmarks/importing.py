"""The way of an imported post beside the way of one that is heard: raw_tweets → Cassandra, by the same worker.

What differs is that an imported post may stand already, so each is looked for before it is written.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from app.roles import Role
from benchmarks.data import dense_case
from benchmarks.lab import Lab, rows_of
from benchmarks.report import Result, median

SECTION = "import"
OF_HEARD = 0.8


def measure(lab: Lab, posts: int, repetitions: int) -> Iterator[Result]:
    """One event, which most posts match, takes a part of the stream in each repetition."""
    case = dense_case(lab.corpus, lab.directory, posts)
    words = tuple(word for event in case.events for word in event.keywords)
    event = replace(case.events[0], keywords=words)
    part = min(12_000, case.posts // repetitions)
    with lab.contest() as contest:
        heard = contest.starling("heard", Role.WORKER, [event])
        imported = contest.starling("imported", Role.WORKER, [replace(event, status="stopped")])
        contest.settle()
        for number in range(repetitions):
            for one, code in ((heard, ""), (imported, event.code)):
                contest.run(one, case.stream, part, skip=number * part, code=code)
        stored = {one.name: rows_of(one.settings) for one in (heard, imported)}
    if len(set(stored.values())) != 1:
        raise RuntimeError(f"not the same was stored: {stored}")
    speeds = {one.name: median([run.posts_per_cpu for run in one.runs]) for one in (heard, imported)}
    walls = {one.name: median([run.posts / run.wall for run in one.runs]) for one in (heard, imported)}
    for name, speed in speeds.items():
        note = f"{stored[name]:,} rows; {walls[name]:,.0f} posts/s by the clock"
        yield Result(SECTION, case.name, name, speed, "posts/CPU-s", note=note)
    yield Result(SECTION, case.name, "imported ÷ heard", speeds["imported"] / speeds["heard"], "×", OF_HEARD)
