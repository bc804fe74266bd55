"""From `received_at` to a row that can be read, at several rates.

A sample of the posts is looked for in Cassandra by primary key, every few milliseconds from the moment its record was
sent, until it is there: the worker's own figures would only tell when a write was acknowledged.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import UTC
from pathlib import Path
from threading import Thread
from typing import Any

from app.clients.cassandra import session
from app.domain.matcher import Matcher
from app.domain.partitioning import bucket_of
from app.domain.posts import read
from app.roles import Role
from app.settings import Settings
from benchmarks.data import Case, lines_of, sparse_case
from benchmarks.lab import Contest, Contestant, Lab
from benchmarks.report import Result

SECTION = "latency"
RATES = (57, 1_000, 5_700)
LESS = (4_000, 3_000, 2_000)  # tried in turn where the highest cannot be held
LESS_SECONDS = 30
P99_SECONDS = 2.0
SAMPLES_A_SECOND = 10
EVERY = 0.015
GIVE_UP = 30.0
BEHIND_SECONDS = 5.0  # later than planned, start and last commit included: the rate is held


def measure(lab: Lab, posts: int, seconds: float) -> Iterator[Result]:
    """Each rate for so many seconds; where the highest is too much, the next lower ones."""
    case = sparse_case(lab.corpus, lab.directory, posts)
    with lab.contest() as contest:
        ours = contest.starling("Starling", Role.WORKER, case.events)
        contest.settle()
        skip, held = 0, True
        for rate in (*RATES, *LESS):
            if rate in LESS and held:
                break
            seconds = min(seconds, LESS_SECONDS) if rate in LESS else seconds
            count = int(rate * seconds)
            waits, behind = _at_rate(contest, ours, case, rate, count, skip)
            skip += count
            held = behind <= BEHIND_SECONDS
            yield from _results(rate, waits, held, f"{len(waits)} rows looked for, over {seconds:.0f} s")
            contest.settle()


def _results(rate: int, waits: Sequence[float], held: bool, note: str) -> Iterator[Result]:
    label = f"{rate:,} posts/s"
    if not held:
        note += "; more than this machine holds"
    yield Result(SECTION, label, "p50", quantile(waits, 0.5), "s", note=note)
    target = P99_SECONDS if held else None
    yield Result(SECTION, label, "p99", quantile(waits, 0.99), "s", target, at_most=True, note=note)


def _at_rate(
    contest: Contest, ours: Contestant, case: Case, rate: int, count: int, skip: int
) -> tuple[list[float], float]:
    """How long each row took, and how many seconds later than planned the worker was through."""
    sampled = _sampled(case, count, skip, max(1, rate // SAMPLES_A_SECOND))
    return waits_at(contest, ours, case.stream, sampled, rate, count, skip)


def waits_at(
    contest: Contest,
    ours: Contestant,
    stream: Path,
    sampled: dict[int, tuple[str, str, str]],
    rate: int,
    count: int,
    skip: int = 0,
) -> tuple[list[float], float]:
    """Send a part of a stream at a rate: how long each of the rows took whose posts' numbers and keys these are.

    And how many seconds later than planned the worker was through.
    """
    tell = stream.with_suffix(".tell")
    tell.write_text("\n".join(map(str, sampled)))
    command = [*contest.feeding(ours, stream, count, skip), "--rate", str(rate), "--tell", str(tell)]
    with session(ours.settings) as cassandra:
        sampler = _Sampler(cassandra, ours.settings)
        began = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as feeding:
            reader = Thread(target=_read, args=(feeding.stdout, sampled, sampler), daemon=True)
            reader.start()
            while feeding.poll() is None or reader.is_alive() or sampler.waiting:
                sampler.look()
                time.sleep(EVERY)
    contest.await_through(ours)
    return sampler.waits, time.monotonic() - began - count / rate


def _sampled(case: Case, count: int, skip: int, step: int) -> dict[int, tuple[str, str, str]]:
    """Primary keys of some matching posts, by their number; the stream goes round."""
    matcher = Matcher(case.events)
    keys: list[tuple[str, str, str] | None] = []
    for line in lines_of(case.stream):
        post = read(line)[0]
        matches = matcher.match(post)
        event = matches[-1].event if matches else None
        keys.append((event.code, bucket_of(event.buckets, post.id, None)[0], post.id) if event else None)
    found: dict[int, tuple[str, str, str]] = {}
    due = skip
    for number in range(skip, skip + count):
        if number >= due and (key := keys[number % len(keys)]):
            found[number] = key
            due = number + step
    return found


def _read(told: Any, sampled: dict[int, tuple[str, str, str]], sampler: _Sampler) -> None:
    for line in told:
        number, received_at = map(int, line.split())
        if key := sampled.get(number):
            sampler.expect(key, received_at / 1000)


class _Sampler:
    """Looks for rows until they are there."""

    def __init__(self, cassandra: Any, settings: Settings) -> None:
        # `received_at` tells a row of this run from one of the same post before.
        self._find = cassandra.prepare(
            f"SELECT received_at FROM {settings.keyspace}.tweet WHERE event_name = ? AND bucket = ? AND t_id = ?"  # noqa: S608
        )
        self._session = cassandra
        self._expected: dict[tuple[str, str, str], float] = {}
        self.waits: list[float] = []

    @property
    def waiting(self) -> bool:
        return bool(self._expected)

    def expect(self, key: tuple[str, str, str], received_at: float) -> None:
        self._expected[key] = received_at

    def look(self) -> None:
        """Ask once for each row that is not there yet."""
        asked = [(key, self._session.execute_async(self._find, key)) for key in list(self._expected)]
        for key, answer in asked:
            row = answer.result().one()
            now, received_at = time.time(), self._expected[key]
            there = row is not None and row[0].replace(tzinfo=UTC).timestamp() >= received_at - 0.001
            if there or now - received_at > GIVE_UP:
                self.waits.append(now - received_at)
                del self._expected[key]


def quantile(values: Sequence[float], share: float) -> float:
    """The value that so many of all do not exceed; infinite of none."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else float("inf")
