"""Kafka → match → `classified_tweets`, by processor time: Starling's classifier, the bare loop, Quix Streams."""

from __future__ import annotations

from collections.abc import Iterator

from app.roles import Role
from benchmarks.data import Case, dense_case, sparse_case
from benchmarks.lab import Contestant, Lab, bare
from benchmarks.report import Result, median

SECTION = "classification"
OF_BARE = 0.5  # 0.7 is the aim
OF_NAIVE = 2.0


def measure(lab: Lab, posts: int, repetitions: int) -> Iterator[Result]:
    """Both shares, every contestant in turn, as often as asked."""
    for case in (sparse_case(lab.corpus, lab.directory, posts), dense_case(lab.corpus, lab.directory, posts)):
        yield from _measure(lab, case, repetitions)


def _measure(lab: Lab, case: Case, repetitions: int) -> Iterator[Result]:
    singles = case.posts // 10  # records of one post take many times as long
    loops: list[dict[str, float]] = []
    naive: list[dict[str, float]] = []
    with lab.contest() as contest:
        ours = contest.starling("Starling, records of 64", Role.CLASSIFIER, case.events)
        ours_single = contest.starling("Starling, records of 1", Role.CLASSIFIER, case.events, record=1)
        quix = contest.other("Quix Streams, records of 64", "quix_classify", case.events)
        quix_single = contest.other("Quix Streams, records of 1", "quix_classify", case.events, record=1)
        contest.settle()
        for _ in range(repetitions):
            for half in (0, case.posts // 2):
                contest.run(ours, case.stream, case.posts // 2, half)
                contest.run(quix, case.stream, case.posts // 2, half)
            loops.append(bare(lab, contest, case, case.posts, "matcher"))
            naive.append(bare(lab, contest, case, case.posts, "text"))
            contest.run(ours_single, case.stream, singles)
            contest.run(quix_single, case.stream, singles)
    found = loops[0]
    loop = median([run["posts"] / run["cpu"] for run in loops])
    text = median([run["posts"] / run["cpu"] for run in naive])
    own = _speed(ours)
    yield Result(SECTION, case.name, "posts that match", 100 * found["matched"] / found["posts"], "%")
    yield Result(SECTION, case.name, "events a matched post", found["pairs"] / max(1, found["matched"]), "")
    yield Result(SECTION, case.name, "(a) bare loop", loop, "posts/CPU-s")
    yield Result(SECTION, case.name, "parse + naive pass over text", text, "posts/CPU-s")
    for one in (ours, ours_single, quix, quix_single):
        wall = median([run.posts / run.wall for run in one.runs])
        yield Result(SECTION, case.name, one.name, _speed(one), "posts/CPU-s", note=f"{wall:,.0f} posts/s by the clock")
    yield Result(SECTION, case.name, "Starling ÷ (a)", own / loop, "×", OF_BARE, note="aim: 0.7")
    yield Result(SECTION, case.name, "Starling ÷ (b), records of 64 both", own / _speed(quix), "×", 1.0)
    yield Result(SECTION, case.name, "Starling, records of 64 ÷ (b), records of 1", own / _speed(quix_single), "×", 1.0)
    yield Result(
        SECTION, case.name, "Starling ÷ (b), records of 1 both", _speed(ours_single) / _speed(quix_single), "×"
    )
    yield Result(SECTION, case.name, "matcher ÷ naive pass, time a post", text / loop, "×", OF_NAIVE, at_most=True)


def _speed(one: Contestant) -> float:
    return median([run.posts_per_cpu for run in one.runs])
