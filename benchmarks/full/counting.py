"""A word count in a process of its own: Spark's driver is there, wherever its executors are.

    with counting(Job(addresses, "keyspace", "flood"), directory / "count.log") as counter:
        done = counter.count()

The process is told one thing a line and answers each by a line of JSON, so no start of Spark's is in a figure.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct, field

from analysis.posts import posts
from analysis.session import session
from analysis.words import word_count, word_count_rdd
from app.settings import Settings
from benchmarks.full.eventlog import ASIDE
from benchmarks.process import TreeClock, tree_peak_bytes

Way = Literal["rdd", "dataframe", "total"]
READY_SECONDS = 400.0
COUNT_SECONDS = 1800.0
LOOK_SECONDS = 1.0
_FIRST = 10  # words that are shown, as in the thesis's listing
_T = TypeVar("_T")


class Job(Struct, frozen=True):
    """Of which event words are counted, and where Spark works."""

    addresses: dict[str, str]
    keyspace: str
    event: str
    master: str = "local[*]"
    config: dict[str, str] = field(default_factory=dict)


class Asked(Struct, frozen=True):
    """What the process is told: to count words of posts since and before moments (ms since 1970), or of all."""

    way: Way
    since: int | None = None
    until: int | None = None


class Timed(Struct, frozen=True):
    """One count as its process has it."""

    seconds: float
    first: list[tuple[int, str]]  # the most frequent words, after how often they occur


class Count(Struct, frozen=True):
    """One count, with the processor time (s) and the most memory (bytes) of the driver and of whatever is watched."""

    seconds: float
    first: list[tuple[int, str]]
    cpu: dict[str, float]
    memory: dict[str, int]  # since each process began

    @property
    def whole_cpu(self) -> float:
        """Of all."""
        return sum(self.cpu.values())


class Total(Struct, frozen=True):
    """What was counted: words, and different ones."""

    times: int
    words: int


def due(texts: Sequence[str | None], rows: int) -> Total:
    """What a count must find in so many rows whose texts are these, again and again in this order."""
    words = [[word for word in (text or "").lower().split(" ") if word] for text in texts]
    rounds, rest = divmod(rows, len(texts))
    times = [len(some) for some in words]
    return Total(rounds * sum(times) + sum(times[:rest]), len({word for some in words[:rows] for word in some}))


class Counter:
    """A process that counts when it is told to."""

    def __init__(self, process: subprocess.Popen[str], log: Path, watched: Mapping[str, Sequence[int]]) -> None:
        self._process = process
        self._log = log
        self._watched = {"driver": [process.pid], **watched}
        self._clocks = {name: TreeClock(pids) for name, pids in self._watched.items()}

    def count(self, way: Way = "rdd", since: int | None = None, until: int | None = None) -> Count:
        """Count once, everything read anew."""
        before = self._cpu()
        over = Event()
        with ThreadPoolExecutor(1) as pool:  # workers of Python end when they like
            pool.submit(self._look, over)
            try:
                timed = self.ask(Asked(way, since, until), COUNT_SECONDS, Timed)
            finally:
                over.set()
        cpu = {name: cpu - before[name] for name, cpu in self._cpu().items()}
        memory = {name: sum(map(tree_peak_bytes, pids)) for name, pids in self._watched.items()}
        return Count(timed.seconds, timed.first, cpu, memory)

    def total(self) -> Total:
        """What the last count by RDD has found; it is kept in files of the shuffles and not counted anew."""
        return self.ask(Asked("total"), COUNT_SECONDS, Total)

    def ask(self, asked: Asked | None, seconds: float, kind: type[_T]) -> _T:
        """The answer. Raises RuntimeError where the process ends, TimeoutError."""
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101
        if asked is not None:
            self._process.stdin.write(f"{msgspec.json.encode(asked).decode()}\n")
            self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            raise TimeoutError(f"no word count within {seconds:.0f} s")
        if not (told := self._process.stdout.readline()):
            said = self._log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"the word count has ended:\n{said}")
        return msgspec.json.decode(told, type=kind)

    def _look(self, over: Event) -> None:
        while not over.wait(LOOK_SECONDS):
            self._cpu()

    def _cpu(self) -> dict[str, float]:
        return {name: clock.seconds() for name, clock in self._clocks.items()}


@contextmanager
def counting(job: Job, log: Path, watched: Mapping[str, Sequence[int]] | None = None) -> Iterator[Counter]:
    """A process whose Spark is ready; of `watched` processes, and all below them, the processor time is told too."""
    command = [sys.executable, "-m", "benchmarks.full.counting", msgspec.json.encode(job).decode()]
    with (
        log.open("a") as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            counter = Counter(process, log, watched or {})
            counter.ask(None, READY_SECONDS, bool)
            yield counter
            assert process.stdin is not None  # noqa: S101
            process.stdin.close()
            process.wait(READY_SECONDS)
        finally:
            if process.poll() is None:
                process.terminate()


def main() -> None:
    """The process."""
    job = msgspec.json.decode(sys.argv[1], type=Job)
    settings = Settings.model_validate({**job.addresses, "keyspace": job.keyspace})
    spark = session(job.master, config={"spark.ui.showConsoleProgress": "false", **job.config}, settings=settings)
    try:
        counted: Any = None
        warm = False
        _tell(True)
        for line in sys.stdin:
            asked = msgspec.json.decode(line, type=Asked)
            if asked.way == "total":
                spark.sparkContext.setJobGroup(ASIDE, "what was counted")
                _tell(Total(counted.keys().sum(), counted.count()))
                continue
            spark.sparkContext.setJobGroup("counts" if warm else ASIDE, asked.way)
            warm = True
            began = time.monotonic()
            found = posts(spark, job.event, _at(asked.since), _at(asked.until))
            if asked.way == "rdd":
                counted = word_count_rdd(found)
                first = counted.take(_FIRST)
            else:
                first = [(row.times, row.word) for row in word_count(found).take(_FIRST)]
            _tell(Timed(time.monotonic() - began, first))
    finally:
        spark.stop()


def _at(moment: int | None) -> datetime | None:
    return None if moment is None else datetime.fromtimestamp(moment / 1000, UTC)


def _tell(answer: object) -> None:
    print(msgspec.json.encode(answer).decode(), flush=True)


if __name__ == "__main__":
    main()
