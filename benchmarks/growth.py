"""What a post costs with 10, 100 and 1,000 events that match the same share of the posts."""

from __future__ import annotations

from collections.abc import Iterator

from app.roles import Role
from benchmarks.data import sparse_case
from benchmarks.lab import Lab, bare
from benchmarks.report import Result, median

SECTION = "growth"
EVENTS = (10, 100, 1000)
AT_MOST = 1.5


def measure(lab: Lab, posts: int, repetitions: int) -> Iterator[Result]:
    """The classifier and the bare loop, the numbers of events in turn."""
    cases = {count: sparse_case(lab.corpus, lab.directory, posts, count) for count in EVENTS}
    loops: dict[int, list[float]] = {count: [] for count in EVENTS}
    matched: dict[int, dict[str, float]] = {}
    with lab.contest() as contest:
        ours = {
            count: contest.starling(f"{count} events", Role.CLASSIFIER, case.events) for count, case in cases.items()
        }
        contest.settle()
        for _ in range(repetitions):
            for count, case in cases.items():
                contest.run(ours[count], case.stream, posts)
                matched[count] = bare(lab, contest, case, posts, "matcher")
                loops[count].append(1e6 * matched[count]["cpu"] / posts)
    worker = {count: median([1e6 * run.cpu / run.posts for run in ours[count].runs]) for count in EVENTS}
    loop = {count: median(loops[count]) for count in EVENTS}
    for count in EVENTS:
        found = matched[count]
        share, pairs = found["matched"] / found["posts"], found["pairs"] / found["matched"]
        note = f"{share:.1%} match, {pairs:.2f} events each"
        yield Result(SECTION, f"{count:,} events", "classifier", worker[count], "µs CPU a post", note=note)
        yield Result(SECTION, f"{count:,} events", "bare loop", loop[count], "µs CPU a post", note=note)
    for name, costs in (("classifier", worker), ("bare loop", loop)):
        ratio = costs[EVENTS[-1]] / costs[EVENTS[0]]
        yield Result(SECTION, "10 → 1,000 events", name, ratio, "×", AT_MOST, at_most=True)
