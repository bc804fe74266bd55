"""A million rows in Starling's table and in the thesis's, in one Cassandra: the same questions to both, in turn.

The thesis's table is keyed by a random id, with a secondary index on the event, as its normalizer makes it. Ten events
have a tenth of the rows each, all of one day. What is asked by CQL is asked as each table is meant to be: partition by
partition here, by the index there. What Spark is asked is analysis' own for ours and the same plan on the thesis's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from time import monotonic, process_time
from typing import Any

import click
from cassandra import OperationTimedOut, ReadFailure, ReadTimeout
from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args
from msgspec import Struct
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from analysis.posts import FORMAT, posts
from analysis.words import word_count
from app.clients.cassandra import session
from app.schema import EVENT_BUCKET, TWEET
from benchmarks.full.ground import Ground
from benchmarks.full.rows import DAY, START_MS, THESIS, Loaded, Spread, Stock, event_of, load, load_thesis
from benchmarks.process import cpu_seconds
from benchmarks.report import Result, median

SECTION = "thesis table"
KEYSPACE = "full_thesis"
ROWS, EVENTS, ASKED = 1_000_000, 10, 3  # the event that is asked for is one in the middle
RANGE = (START_MS + 12 * 3_600_000, START_MS + 15 * 3_600_000)  # three hours of the day
RANGE_TIMES, TIMES_FASTER = 5.0, 1.0  # to reach: by one event's range, and never slower
IN_FLIGHT = 4  # partitions that are asked for at once
PAGES = (5000, 1000, 100)  # rows of a page: less where Cassandra gives up
PATIENCE = 600  # seconds
REPEATED = 5
_RANGED = ("t_id", "t_created_at", "t_text")  # columns

Answer = Any  # what both tables must agree on


class Question(Struct, frozen=True):
    """One question to both tables; each gives what it has found, or None where that was compared before."""

    name: str
    ours: Callable[[], Answer]
    theirs: Callable[[], Answer]
    target: float = TIMES_FASTER
    times: int = REPEATED


class Took(Struct, frozen=True):
    """Seconds of one answer: by the clock, of Cassandra's processor time and of the client's."""

    wall: float
    cassandra: float
    client: float

    @property
    def cpu(self) -> float:
        """Of both."""
        return self.cassandra + self.client


def measure(ground: Ground, rows: int | None) -> Iterator[Result]:
    """Fill both tables, then ask."""
    rows = (rows or ROWS) // EVENTS * EVENTS
    settings = ground.settings(KEYSPACE)
    ground.wait_long()
    stock = Stock(min(rows // 20, 50_000))
    codes = [f"event-{number}" for number in range(EVENTS)]
    each = rows // EVENTS
    spreads = [Spread(event=event_of(code, each / DAY), posts=each) for code in codes]
    case = f"{rows:,} rows, {EVENTS} events"
    for name, table, loaded in (
        ("Starling's", TWEET, load(settings, spreads, stock)),
        ("the thesis's", THESIS, load_thesis(settings, spreads, stock)),
    ):
        yield from _stored(ground, case, name, table, loaded)
    with session(settings) as cassandra:
        for question in _by_cql(cassandra, codes[ASKED]):
            yield from _compare(ground, case, question, process_time)
    with ground.spark(settings) as spark:
        used = partial(cpu_seconds, ground.spark_pid(spark))
        for question in _by_spark(spark, codes, rows):
            yield from _compare(ground, case, question, used)
    ground.drop(KEYSPACE)


def _stored(ground: Ground, case: str, name: str, table: str, loaded: Loaded) -> Iterator[Result]:
    ground.settle(KEYSPACE, table)
    note = f"{loaded.cpu / loaded.rows * 1e6:.0f} µs of the loader's CPU a row"
    yield Result(SECTION, case, f"rows stored a second, {name} table", loaded.rows / loaded.wall, "/s", note=note)
    space = re.search(r"Space used \(live\): (\d+)", ground.nodetool("tablestats", f"{KEYSPACE}.{table}"))
    if space:
        yield Result(SECTION, case, f"on disk, {name} table", int(space[1]) / 1e6, "MB", note="with its indexes")


def _by_cql(cassandra: Session, code: str) -> Iterator[Question]:
    ours = partial(_of_event, cassandra, code)
    since, until = (datetime.fromtimestamp(at / 1000, UTC).replace(tzinfo=None) for at in RANGE)
    count = f"SELECT count(*) FROM {KEYSPACE}.{THESIS} WHERE event_name = ?"  # noqa: S608 -- constants
    yield Question(
        "count of one event, CQL",
        lambda: sum(row[0] for row in ours("count(*)", None)),
        lambda: _patient(cassandra, count, [code])[0][0],
    )
    ranged = (
        f"SELECT {', '.join(_RANGED)} FROM {KEYSPACE}.{THESIS} "  # noqa: S608 -- constants
        "WHERE event_name = ? AND t_created_at >= ? AND t_created_at < ? ALLOW FILTERING"
    )
    yield Question(
        "posts of three hours of one event, CQL",
        lambda: sorted(row for row in ours(", ".join(_RANGED), RANGE) if since <= row[1] < until),
        lambda: sorted(_patient(cassandra, ranged, [code, since, until])),
        RANGE_TIMES,
    )


def _of_event(cassandra: Session, code: str, what: str, within: tuple[int, int] | None) -> list[Any]:
    """What the event's partitions hold, all or those that reach into a time."""
    query = f"SELECT bucket, since, seconds FROM {KEYSPACE}.{EVENT_BUCKET} WHERE event_name = %s"  # noqa: S608
    names = [name for name, since, seconds in cassandra.execute(query, [code]) if _reaches(since, seconds, within)]
    asked = cassandra.prepare(f"SELECT {what} FROM {KEYSPACE}.{TWEET} WHERE event_name = ? AND bucket = ?")  # noqa: S608
    answers = execute_concurrent_with_args(cassandra, asked, [(code, name) for name in names], concurrency=IN_FLIGHT)
    return [row for answer in answers for row in answer.result_or_exc]


def _reaches(since: datetime, seconds: int, within: tuple[int, int] | None) -> bool:
    begin = since.replace(tzinfo=UTC).timestamp() * 1000
    return within is None or (begin < within[1] and begin + seconds * 1000 > within[0])


def _patient(cassandra: Session, query: str, values: list[Any]) -> list[Any]:
    """All rows of an answer, in smaller pages where Cassandra gives up."""
    asked = cassandra.prepare(query)
    for size in PAGES:
        asked.fetch_size = size
        try:
            return list(cassandra.execute(asked, values, timeout=PATIENCE))
        except (ReadTimeout, ReadFailure, OperationTimedOut) as gave_up:
            click.echo(f"  pages of {size}: {type(gave_up).__name__}", err=True)
    raise TimeoutError(f"Cassandra does not answer: {query}")


def _by_spark(spark: SparkSession, codes: list[str], rows: int) -> Iterator[Question]:
    code = codes[ASKED]
    since, until = (datetime.fromtimestamp(at / 1000, UTC) for at in RANGE)
    table = spark.read.format(FORMAT).options(keyspace=KEYSPACE, table=THESIS).load()
    event = table.where(f.col("event_name") == code)
    within = event.where((f.unix_millis("t_created_at") >= RANGE[0]) & (f.unix_millis("t_created_at") < RANGE[1]))
    ours, ranged, every = (
        partial(posts, spark, code),
        partial(posts, spark, code, since, until),
        partial(posts, spark, codes),
    )
    yield Question("count of one event, Spark", lambda: ours().count(), event.count)
    yield _reading("posts of three hours of one event, Spark", ranged, within, RANGE_TIMES)
    yield _counting("word count of three hours of one event, Spark", ranged, within, RANGE_TIMES)
    yield _counting("word count of one event, Spark", ours, event)
    yield Question(f"count of all {rows:,}, Spark", lambda: every().count(), table.count, times=3)
    yield _counting(f"word count of all {rows:,}, Spark", every, table, times=3)


def _reading(name: str, ours: Callable[[], DataFrame], theirs: DataFrame, target: float) -> Question:
    """Their rows are compared once; then all are read, and go nowhere."""
    one, other = (sorted(map(tuple, read.select(*_RANGED).collect())) for read in (ours(), theirs))
    if one != other:
        raise RuntimeError(f"{name}: the tables do not agree: {_short(one)} and {_short(other)}")
    return Question(name, lambda: _run(ours().select(*_RANGED)), lambda: _run(theirs.select(*_RANGED)), target)


def _counting(
    name: str, ours: Callable[[], DataFrame], theirs: DataFrame, target: float = 1.0, times: int = REPEATED
) -> Question:
    """Their words are compared once, which makes Spark's Java warm as well; then all are counted and sorted."""
    total = [f.sum("times"), f.count("*")]
    one, other = (word_count(read).agg(*total).first() for read in (ours(), theirs))
    if one != other:
        raise RuntimeError(f"{name}: {one} words in Starling's table, {other} in the thesis's")
    return Question(name, lambda: _run(word_count(ours())), lambda: _run(word_count(theirs)), target, times)


def _run(frame: DataFrame) -> None:
    frame.write.format("noop").mode("overwrite").save()


def _compare(ground: Ground, case: str, question: Question, used: Callable[[], float]) -> Iterator[Result]:
    """Ask both in turn, after once each that does not count."""
    if (one := question.ours()) != (other := question.theirs()):
        raise RuntimeError(f"{question.name}: the tables do not agree: {_short(one)} and {_short(other)}")
    ours, theirs = [], []
    for _ in range(question.times):
        ours.append(_timed(ground, question.ours, used))
        theirs.append(_timed(ground, question.theirs, used))
    for name, took in (("Starling's", ours), ("the thesis's", theirs)):
        walls = sorted(one.wall for one in took)
        cpu = f"CPU: Cassandra {_median_of(took, 'cassandra'):.3g}, client {_median_of(took, 'client'):.3g} s"
        note = f"{walls[0]:.3g} to {walls[-1]:.3g}; {cpu}"
        yield Result(SECTION, question.name, f"{name} table", median(walls), "s", note=note)
    faster, cheaper = (_median_of(theirs, what) / _median_of(ours, what) for what in ("wall", "cpu"))
    yield Result(SECTION, question.name, "faster", faster, "times", question.target, note=case)
    yield Result(SECTION, question.name, "less CPU", cheaper, "times", note="Cassandra's and the client's")


def _median_of(took: list[Took], what: str) -> float:
    return median([getattr(one, what) for one in took])


def _timed(ground: Ground, asking: Callable[[], Answer], used: Callable[[], float]) -> Took:
    cassandra, client, began = ground.cassandra_cpu(), used(), monotonic()
    asking()
    return Took(monotonic() - began, ground.cassandra_cpu() - cassandra, used() - client)


def _short(answer: Answer) -> str:
    return f"{len(answer):,} rows" if isinstance(answer, list) else str(answer)
