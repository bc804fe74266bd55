"""Kafka → Cassandra, by processor time of all client processes: Starling's worker and three other ways.

Each contestant reads the same posts; its rows are counted afterwards. The thesis's consumers look at `text` alone and
at parts of words, so they store other rows; hence speeds by posts read and, beside them, by rows written.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.clients.cassandra import session
from app.domain.matcher import Matcher
from app.domain.posts import read
from app.roles import Role
from app.settings import Settings
from benchmarks.contestants import thesis
from benchmarks.data import Case, dense_case, lines_of, sparse_case
from benchmarks.lab import Contestant, Lab, rows_of
from benchmarks.report import Result, median

SECTION = "end to end"
OF_THESIS, OF_ROWS, OF_BATCHES = 5.0, 2.0, 1.0


def measure(lab: Lab, posts: int, repetitions: int) -> Iterator[Result]:
    """Both shares; a repetition reads as many posts as fit that often into the stream, each post once."""
    for case in (sparse_case(lab.corpus, lab.directory, posts), dense_case(lab.corpus, lab.directory, posts)):
        part = min(20_000 if case.share < 0.5 else 12_000, case.posts // repetitions)
        yield from _measure(lab, case, part, repetitions)


def _measure(lab: Lab, case: Case, part: int, repetitions: int) -> Iterator[Result]:
    with lab.contest() as contest:
        ours = contest.starling("Starling", Role.WORKER, case.events)
        old = contest.other(
            "(c) thesis, a process an event",
            "thesis",
            case.events,
            modes=[str(number) for number in range(len(case.events))],
            before=_thesis_table,
        )
        rows = contest.other("(d) Quix Streams, row by row", "quix_store", case.events, modes=["rows"])
        batches = contest.other("(d) Quix Streams, batched as ours", "quix_store", case.events, modes=["batches"])
        steps = contest.other(
            "(d') Quix Streams, batched, by classified_tweets", "quix_store", case.events, modes=["steps"]
        )
        contest.settle()
        for number in range(repetitions):
            for one in (ours, old, rows, batches, steps):
                contest.run(one, case.stream, part, skip=number * part)
        wanted = _expected(case, part * repetitions)
        stored = {one.name: rows_of(one.settings) for one in (ours, rows, batches, steps)}
        stored[old.name] = _thesis_rows(old.settings)
    for one in (ours, rows, batches, steps):
        if stored[one.name] != wanted:
            raise RuntimeError(f"{one.name} stored {stored[one.name]} rows where {wanted} match")
    for one in (ours, old, rows, batches, steps):
        share = stored[one.name] / (part * repetitions)
        wall = median([run.posts / run.wall for run in one.runs])
        note = f"{_speed(one) * share:,.0f} rows/CPU-s; {stored[one.name]:,} rows; {wall:,.0f} posts/s by the clock"
        yield Result(SECTION, case.name, one.name, _speed(one), "posts/CPU-s", note=note)
    for other, label, target in (
        (old, "(c)", OF_THESIS),
        (rows, "(d) row by row", OF_ROWS),
        (batches, "(d) batched, in one step", OF_BATCHES),
        (steps, "(d') batched, in the same two steps", None),
    ):
        by_rows = _speed(ours) * wanted / (_speed(other) * stored[other.name])
        yield Result(
            SECTION,
            case.name,
            f"Starling ÷ {label}",
            _speed(ours) / _speed(other),
            "×",
            target,
            note=f"by rows: {by_rows:.2f} ×",
        )


def _expected(case: Case, posts: int) -> int:
    matcher = Matcher(case.events)
    return sum(len(matcher.match(post)) for line in lines_of(case.stream, posts) for post in read(line))


def _speed(one: Contestant) -> float:
    return median([run.posts_per_cpu for run in one.runs])


def _thesis_table(settings: Settings) -> None:
    with session(settings) as cassandra:
        cassandra.execute(thesis.table(settings.keyspace), timeout=30)


def _thesis_rows(settings: Settings) -> int:
    with session(settings) as cassandra:
        return sum(1 for _ in cassandra.execute(f"SELECT id FROM {settings.keyspace}.thesis", timeout=60))  # noqa: S608
