"""The thesis's Table 6.1 anew: its word count (Listing 6.1) over ever more rows, with one executor and with two.

The rows are one event's, a day of them; the smaller sets are its first hours. One Cassandra, Spark's workers of one
core each, and the driver share the machine. Every count must find just the words that were stored.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence

from app.domain.columns import POST_COLUMNS
from app.local.server import HOST
from app.local.stack import Stack
from benchmarks.full.cluster import spark_cluster
from benchmarks.full.counting import Count, Counter, Job, Way, counting, due
from benchmarks.full.ground import Ground
from benchmarks.full.rows import DAY, Spread, Stock, event_of, load, make_tables
from benchmarks.lab import rows_of
from benchmarks.report import Result, median

SECTION = "table 6.1"
KEYSPACE, CODE = "table61", "counted"
STOCK = 50_000  # different posts
# Sets, and how often the words of each are counted.
SETS = {490_199: 3, 1_400_884: 2, 5_000_000: 1}
THESIS = {490_199: 2_060, 1_400_884: 2_987}  # rows a second on three nodes of one core each
THESIS_MOST, THESIS_CORES = 19_585, 3  # the same with 21,680,851 rows
WHOLE = 54_395_957  # rows of its largest set
EXECUTORS = (1, 2)
GB = 1e9
NAMES: dict[Way, str] = {"rdd": "RDD", "dataframe": "DataFrame"}

_TEXT = list(POST_COLUMNS).index("t_text")


def measure(ground: Ground, rows: int | None) -> Iterator[Result]:
    """Load once, count each set with each number of executors; derive what the thesis's largest set would need."""
    sets = SETS if rows is None else {rows // 10: 1, rows: 1}
    most = max(sets)
    different = min(STOCK, *sets)
    stock = Stock(different)
    spread = Spread(event=event_of(CODE, most / DAY), posts=most)
    size = yield from _load(ground, spread, stock)
    texts = texts_of(stock, different)
    watched = {"cassandra": [cassandra_pid(ground.stack)]}
    with spark_cluster(ground.directory / "spark", [HOST] * max(EXECUTORS)) as spark:
        for executors in EXECUTORS:
            job = Job(ground.stack.addresses, KEYSPACE, CODE, spark.master, spark.config(executors))
            log = ground.directory / "counting.log"
            with counting(job, log, {**watched, "executors": spark.workers}) as counter:
                found = _counted(counter, spread, sets, texts)
            yield from _results(found, executors)
    yield from _whole(size, most, found[most, "rdd"])
    if "STARLING_BENCH_STACK" not in os.environ:
        ground.drop(KEYSPACE)


def _load(ground: Ground, spread: Spread, stock: Stock) -> Generator[Result, None, float]:
    """Store the rows, where no run before has left them in servers that stay; returns the bytes of one on disk."""
    settings = ground.settings(KEYSPACE)
    make_tables(settings)
    if rows_of(settings) != spread.posts:
        before = ground.cassandra_cpu()
        loaded = load(settings, [spread], stock)
        stored = (ground.cassandra_cpu() - before) / loaded.rows
        note = f"{loaded.cpu / loaded.rows * 1e6:.0f} µs of CPU a row, and {stored * 1e6:.0f} of Cassandra's"
        rate = loaded.rows / loaded.wall
        yield Result(SECTION, f"{spread.posts:,} rows", "loaded, by the clock", rate, "rows/s", note=note)
        ground.settle(KEYSPACE, "tweet")
    size = bytes_of(ground.stack, KEYSPACE, "tweet") / spread.posts
    note = "`tweet` with its indexes, compressed; no raw JSON"
    yield Result(SECTION, f"{spread.posts:,} rows", "on disk", size, "bytes a row", note=note)
    return size


def _counted(
    counter: Counter, spread: Spread, sets: Mapping[int, int], texts: Sequence[str | None]
) -> dict[tuple[int, Way], list[Count]]:
    """Every set, after a count of the smallest to warm up. Raises RuntimeError where a count is wrong."""
    found: dict[tuple[int, Way], list[Count]] = {}
    until = {rows: spread.since + int(rows * spread.seconds * 1000 / spread.posts) for rows in sets}
    counter.count(since=spread.since, until=until[min(sets)])
    for rows, times in sets.items():
        whole = rows == spread.posts
        period = (None, None) if whole else (spread.since, until[rows])
        found[rows, "rdd"] = [counter.count("rdd", *period) for _ in range(times)]
        check(counter, texts, rows)
        found[rows, "dataframe"] = [counter.count("dataframe", *period)]
    return found


def check(counter: Counter, texts: Sequence[str | None], rows: int) -> None:
    """Raise RuntimeError unless the last count has found every word of so many rows, and no other."""
    wanted, counted = due(texts, rows), counter.total()
    if counted != wanted:
        raise RuntimeError(f"of {rows:,} rows {counted} were counted, not {wanted}")


def _results(found: Mapping[tuple[int, Way], Sequence[Count]], executors: int) -> Iterator[Result]:
    smallest = min(found)[0]
    for (rows, way), counts in found.items():
        case = f"{rows:,} rows, {executors} executor{'s' * (executors > 1)}, {NAMES[way]}"
        seconds, cpu = median([one.seconds for one in counts]), median([one.whole_cpu for one in counts])
        yield Result(SECTION, case, "by the clock", seconds, "s", note=f"counted {len(counts)} times")
        beside = f"the thesis: {THESIS[rows]:,}, three cores" if rows in THESIS else ""
        yield Result(SECTION, case, "rows a second", rows / seconds, "rows/s", note=beside)
        whole = sum(one.whole_cpu for one in counts)
        parts = ", ".join(f"{name} {sum(one.cpu[name] for one in counts) / whole:.0%}" for name in counts[0].cpu)
        yield Result(SECTION, case, "rows a CPU-second", rows / cpu, "rows/s", note=parts)
        if rows > smallest:
            before = median([one.whole_cpu for one in found[smallest, way]]) / smallest
            note = "most memory: " + ", ".join(f"{name} {size / GB:.1f} GB" for name, size in counts[-1].memory.items())
            yield Result(SECTION, case, f"CPU a row, beside {smallest:,}", cpu / rows / before, "x", note=note)


def _whole(size: float, rows: int, counts: Sequence[Count]) -> Iterator[Result]:
    """What the largest set of the thesis would need, by what the largest here took a row: derived, not measured."""
    cpu = median([one.whole_cpu for one in counts]) * WHOLE / rows
    case = f"{WHOLE:,} rows, derived"
    yield Result(SECTION, case, "on disk, each copy", size * WHOLE / GB, "GB")
    yield Result(SECTION, case, "processor time", cpu, "s")
    cores = f"{THESIS_CORES} cores of this kind, all busy"
    yield Result(SECTION, case, f"on {cores}", cpu / THESIS_CORES, "s", note="the thesis: 4,228 s on its three")


def texts_of(stock: Stock, posts: int) -> list[str | None]:
    """The texts of a stock of so many posts, in the order in which its rows repeat them."""
    spread = Spread(event=event_of(CODE, 1), posts=posts)
    return [row.post.values[_TEXT] for row in stock.rows(spread)]  # type: ignore[misc]


def cassandra_pid(stack: Stack) -> int:
    """Number of Cassandra's process."""
    return next(one.pid for one in stack.status() if one.name == "cassandra" and one.pid)


def bytes_of(stack: Stack, keyspace: str, table: str) -> int:
    """Bytes on disk of a table and its indexes."""
    files = (stack.directory / "data" / "cassandra" / "data" / keyspace).glob(f"{table}-*/**/*")
    return sum(file.stat().st_size for file in files if file.is_file())
