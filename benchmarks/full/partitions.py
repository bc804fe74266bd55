"""One event's million rows in their partitions, by nodetool's tablehistograms, and what a scan of the event reads.

The event is one of which nobody knew how much comes: the manager's own rule for its rate holds ten seconds after its
first post. Beside it lies another event of the same day. What a scan reads is told by Cassandra's tracing of every
request that Spark makes, and compared with the rows that there are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from time import monotonic

import click
from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args
from pyspark.sql import functions as f

from analysis.posts import posts
from app.clients.cassandra import session
from app.schema import EVENT_BUCKET, TWEET, TWEET_RAW
from app.settings import Settings
from benchmarks.broker import wait_for
from benchmarks.full.ground import Ground
from benchmarks.full.rows import DAY, Spread, Stock, event_of, load
from benchmarks.report import Result, median

SECTION = "partitions"
KEYSPACE = "full_partitions"
EVENT, OTHER = "scanned", "neighbour"
ROWS = 1_000_000
AT_MOST_ROWS, AT_MOST_MB, AT_LEAST_MEDIAN = 100_000, 100, 1_000
TRACED_SECONDS = 120
_READ = re.compile(r"Read (\d+) live rows")


def measure(ground: Ground, rows: int | None) -> Iterator[Result]:
    """Store both events, then look."""
    rows = rows or ROWS
    settings = ground.settings(KEYSPACE)
    ground.wait_long()
    stock = Stock(min(rows // 20, 50_000))
    loaded = load(settings, [Spread(event=event_of(EVENT, rows / DAY), posts=rows)], stock, raw=True)
    case = f"{rows:,} rows of a day, {rows / DAY:.1f} posts/s"
    note = f"with raw JSON; {loaded.wall:.0f} s, {loaded.cpu / rows * 1e6:.0f} µs of the loader's CPU a row"
    yield Result(SECTION, case, "rows stored a second", rows / loaded.wall, "/s", note=note)
    ground.settle(KEYSPACE, TWEET, TWEET_RAW)
    with session(settings) as cassandra:
        yield from _sizes(ground, cassandra, case, rows)
        load(settings, [Spread(event=event_of(OTHER, rows / 10 / DAY), posts=rows // 10)], stock)
        ground.nodetool("flush", KEYSPACE, TWEET)
        yield from _scan(ground, settings, cassandra, case)
    ground.drop(KEYSPACE)


def _sizes(ground: Ground, cassandra: Session, case: str, rows: int) -> Iterator[Result]:
    began = monotonic()
    listed = _buckets(cassandra, EVENT)
    took = (monotonic() - began) * 1000
    counts = _counts(cassandra, EVENT, listed)
    if sum(counts) != rows:
        raise RuntimeError(f"{sum(counts):,} rows in the partitions that are listed, {rows:,} were stored")
    note = "by one query of event_bucket; they hold every row"
    yield Result(SECTION, case, "partitions listed", len(listed), "partitions", note=f"{note}; {took:.0f} ms")
    yield Result(SECTION, case, "largest partition", max(counts), "rows", AT_MOST_ROWS, at_most=True)
    yield Result(SECTION, case, "median partition", median(counts), "rows", AT_LEAST_MEDIAN)
    for table in (TWEET, TWEET_RAW):
        told = ground.nodetool("tablehistograms", KEYSPACE, table)
        click.echo(told, err=True)
        sizes = partition_sizes(told)
        note = "nodetool tablehistograms, whose steps are 20 %; before compression"
        yield Result(SECTION, table, "largest partition", sizes["Max"] / 1e6, "MB", AT_MOST_MB, at_most=True, note=note)
        yield Result(SECTION, table, "median partition", sizes["50%"] / 1e6, "MB", note=note)


def partition_sizes(told: str) -> dict[str, float]:
    """Bytes of a partition by percentile ("50%", "Max" …), of what `nodetool tablehistograms` prints."""
    if not re.search(r"Percentile +Read Latency +Write Latency +SSTables +Partition Size +Cell Count", told):
        raise ValueError(f"not the histograms of a table: {told[:200]}")
    found = re.findall(r"^(\S+)(?: +\S+){3} +([\d.]+) +[\d.]+ *$", told, re.M)
    return {name: float(size) for name, size in found}


def _scan(ground: Ground, settings: Settings, cassandra: Session, case: str) -> Iterator[Result]:
    """Every request of one scan by Spark is traced; which partition it named and how many rows were read."""
    own = _buckets(cassandra, EVENT)
    with ground.spark(settings) as spark:
        found = posts(spark, EVENT)
        found.limit(1).count()  # it is connected, and knows the tables
        cassandra.execute("TRUNCATE system_traces.sessions", timeout=60)
        cassandra.execute("TRUNCATE system_traces.events", timeout=60)
        ground.nodetool("settraceprobability", "1")
        count = found.agg(f.count("t_id"), f.sum(f.length("t_text"))).collect()[0][0]
        ground.nodetool("settraceprobability", "0")
    wait_for("the traces are whole", lambda: len(_asked(cassandra)) >= len(own), TRACED_SECONDS, 1)
    asked = Counter(_asked(cassandra).values())
    strange = sorted({event for event, _ in asked if event != EVENT})
    read = _rows_read(cassandra)
    yield Result(SECTION, case, "rows that a scan of the event gives", count, "rows", note="Spark, all its posts")
    note = f"{sum(asked.values()):,} requests for {len(asked):,} of its {len(own):,} partitions, all by their whole key"
    yield Result(SECTION, case, "requests for another event", len(strange), "requests", 0, at_most=True, note=note)
    note = "more than the scan gives, as Cassandra's tracing has it"
    yield Result(SECTION, case, "rows read beyond", read - count, "rows", 0, at_most=True, note=note)


def _buckets(cassandra: Session, code: str) -> list[str]:
    query = f"SELECT bucket FROM {KEYSPACE}.{EVENT_BUCKET} WHERE event_name = %s"  # noqa: S608 -- constants
    return [bucket for (bucket,) in cassandra.execute(query, [code])]


def _counts(cassandra: Session, code: str, buckets: list[str]) -> list[int]:
    query = f"SELECT count(*) FROM {KEYSPACE}.{TWEET} WHERE event_name = ? AND bucket = ?"  # noqa: S608 -- constants
    asked = [(code, bucket) for bucket in buckets]
    answers = execute_concurrent_with_args(cassandra, cassandra.prepare(query), asked, concurrency=4)
    return [answer.result_or_exc.one()[0] for answer in answers]


def _asked(cassandra: Session) -> dict[object, tuple[str, str]]:
    """Event and bucket of each traced request of the posts' table. Raises RuntimeError where one names no partition."""
    found: dict[object, tuple[str, str]] = {}
    query = "SELECT session_id, request, parameters FROM system_traces.sessions"
    for number, request, parameters in cassandra.execute(query):
        text = (parameters or {}).get("query", "").replace('"', "")
        if not (request or "").startswith("Execute") or f"{KEYSPACE}.{TWEET} " not in text:
            continue
        bound = {name.rpartition("_")[2]: text.strip("'") for name, text in parameters.items() if "bound_var" in name}
        if not {"name", "bucket"} <= bound.keys():
            raise RuntimeError(f"a request without a partition: {parameters}")
        found[number] = bound["name"], bound["bucket"]
    return found


def _rows_read(cassandra: Session) -> int:
    of_posts = set(_asked(cassandra))
    events = cassandra.execute("SELECT session_id, activity FROM system_traces.events")
    read = [(_READ.search(activity or ""), number) for number, activity in events if number in of_posts]
    return sum(int(found[1]) for found, _ in read if found)
