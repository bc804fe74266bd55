"""Three nodes of Cassandra, each with a worker of Spark at its address: do tasks run where the rows are that they read?

As in the thesis, but all on one machine, at 127.0.0.1 to 127.0.0.3. With one copy of each row only one address is right
for it; with three copies all are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import click

from app.settings import Settings
from benchmarks.full.cluster import Ring, SparkCluster, ring, spark_cluster
from benchmarks.full.counting import Job, counting
from benchmarks.full.eventlog import placed_in, share
from benchmarks.full.ground import Ground
from benchmarks.full.rows import DAY, Spread, Stock, event_of, load
from benchmarks.full.table61 import check, texts_of
from benchmarks.report import Result, median

SECTION = "nodes"
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
ROWS, STOCK, TIMES = 100_000, 20_000, 3
COPIES = (1, 3)
NODE_LOCAL = 0.95
CODE = "counted"


def measure(ground: Ground, rows: int | None) -> Iterator[Result]:
    """The word count of one event with one and with three copies of its rows."""
    posts = rows or ROWS
    stock = Stock(min(STOCK, posts))
    texts = texts_of(stock, min(STOCK, posts))
    spread = Spread(event=event_of(CODE, posts / DAY), posts=posts)
    directory = ground.directory / "nodes"
    with (
        ring(directory, HOSTS, lambda line: click.echo(f"  {line}", err=True)) as nodes,
        spark_cluster(directory / "spark", HOSTS) as spark,
    ):
        for copies in COPIES:
            yield from _with_copies(nodes, spark, spread, stock, texts, copies)


def _with_copies(
    nodes: Ring, spark: SparkCluster, spread: Spread, stock: Stock, texts: Sequence[str | None], copies: int
) -> Iterator[Result]:
    keyspace = f"copies_{copies}"
    load(
        Settings.model_validate({**nodes.addresses, "keyspace": keyspace, "cassandra_replication": copies}),
        [spread],
        stock,
    )
    log = spark.directory / f"events-{copies}"
    job = Job(nodes.addresses, keyspace, CODE, spark.master, spark.config(len(HOSTS), log))
    watched = {"executors": spark.workers, "cassandra": nodes.pids}
    with counting(job, spark.directory / "counting.log", watched) as counter:
        counter.count()  # warms up
        counts = [counter.count() for _ in range(TIMES)]
        check(counter, texts, spread.posts)
    case = f"{spread.posts:,} rows, {copies} cop{'ies' if copies > 1 else 'y'}"
    found = placed_in(log)
    for what, levels in (("tasks NODE_LOCAL", found.levels), ("of those that read Cassandra", found.reading)):
        yield Result(SECTION, case, what, share(levels, "NODE_LOCAL"), "", NODE_LOCAL, note=_told(levels))
    hosts = ", ".join(str(found.hosts[host]) for host in HOSTS)
    yield Result(SECTION, case, "tasks", found.levels.total(), "", note=f"by address {hosts}")
    seconds, cpu = median([one.seconds for one in counts]), median([one.whole_cpu for one in counts])
    yield Result(SECTION, case, "rows a second", spread.posts / seconds, "rows/s")
    yield Result(SECTION, case, "rows a CPU-second", spread.posts / cpu, "rows/s")


def _told(levels: Counter[str]) -> str:
    return ", ".join(f"{level} {tasks}" for level, tasks in levels.most_common())
