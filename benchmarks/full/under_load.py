"""A word count while posts arrive: what each costs the other, and whether a post is lost.

One machine has it all: Kafka, Cassandra, a worker, and Spark on all cores, as `starling analyze` starts it. The posts
that arrive are of another event than the one that is counted, in the same tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from time import monotonic, sleep

from app.clients.cassandra import session
from app.domain.events import Event
from app.domain.partitioning import bucket_of
from app.generator import Generator, Mix
from app.roles import Role
from app.settings import Settings
from benchmarks.full.counting import Counter, Job, counting
from benchmarks.full.ground import Ground
from benchmarks.full.rows import DAY, START_MS, Spread, Stock, event_of, load
from benchmarks.full.table61 import check, texts_of
from benchmarks.lab import Lab
from benchmarks.latency import SAMPLES_A_SECOND, quantile, waits_at
from benchmarks.report import Result, median

SECTION = "under load"
RATE = 1_000
ROWS, STOCK, TIMES = 490_199, 20_000, 3
CODE, ARRIVING = "counted", "arriving"
SECONDS = 60.0  # that posts arrive, at least
LEAST_COUNTS = 3  # for which there shall be time while they do
_SHORT = 10.0  # the same where it is only to be seen that it works
_FLOWING = 3.0  # from when posts arrive until a count begins

Key = tuple[str, str, str]


class Arriving:
    """A stream of generated posts that are all of one event, and the key that each must be stored under."""

    def __init__(self, file: Path, event: Event, posts: int) -> None:
        self.file = file
        self.keys: list[Key] = []
        mix = Mix(planted=1, decoy=0, v2_list=0, late=0, control=0, malformed=0, again=0, grown=0)
        lines = Generator([event], seed=2, mix=mix).lines(START_MS, RATE)
        with file.open("wb") as out:
            for planted in islice((one for one in lines if one.posts[0].events), posts):
                post = planted.posts[0]
                bucket = bucket_of(event.buckets, post.id, post.column("t_created_at"))[0]
                self.keys.append((event.code, bucket, post.id))
                out.write(planted.line + b"\n")

    def sampled(self, skip: int, count: int) -> dict[int, Key]:
        """Those that are looked for, by their number."""
        return {number: self.keys[number] for number in range(skip, skip + count, RATE // SAMPLES_A_SECOND)}


def measure(ground: Ground, rows: int | None) -> Iterator[Result]:
    """Counts in quiet, posts in quiet, then both."""
    posts = rows or ROWS
    counted, arriving = event_of(CODE, posts / DAY), event_of(ARRIVING, RATE)
    stock = Stock(min(STOCK, posts))
    with Lab(ground.stack, ground.directory).contest() as contest:
        ours = contest.starling("Starling", Role.WORKER, [arriving])
        load(ours.settings, [Spread(event=counted, posts=posts)], stock)
        contest.settle()
        job = Job(ground.stack.addresses, ours.settings.keyspace, CODE)
        with counting(job, ground.directory / "counting.log") as counter:
            counter.count()
            quiet = [counter.count().seconds for _ in range(TIMES)]
            check(counter, texts_of(stock, min(STOCK, posts)), posts)
            seconds = SECONDS if rows is None else _SHORT
            alone = int(RATE * seconds)
            both = int(RATE * (max(seconds, 2 * (LEAST_COUNTS + 1) * median(quiet)) if rows is None else seconds))
            stream = Arriving(ground.directory / "arriving.jsonl", arriving, alone + both)
            contest.settle()
            waits, behind = waits_at(contest, ours, stream.file, stream.sampled(0, alone), RATE, alone)
            contest.settle()
            with ThreadPoolExecutor(1) as pool:
                sending = pool.submit(
                    waits_at, contest, ours, stream.file, stream.sampled(alone, both), RATE, both, alone
                )
                loaded = _counts(counter, both / RATE)
                waits_both, behind_both = sending.result()
            check(counter, texts_of(stock, min(STOCK, posts)), posts)
        lost = len(set(stream.keys) - stored(ours.settings, ARRIVING))
    yield Result(SECTION, f"{RATE:,} posts/s", "lost", lost, f"of {len(stream.keys):,}", 0, at_most=True)
    note = f"{len(quiet)} counts of {posts:,} rows in quiet, {len(loaded)} while posts arrive"
    yield Result(SECTION, "word count", "in quiet", median(quiet), "s", note=note)
    yield Result(SECTION, "word count", "while posts arrive", median(loaded), "s", note=note)
    yield Result(SECTION, "word count", "slowdown", median(loaded) / median(quiet), "x")
    for name, some, late in (("in quiet", waits, behind), ("while words are counted", waits_both, behind_both)):
        note = f"{len(some)} rows looked for; all through {late:.1f} s after the plan's end"
        yield Result(SECTION, f"posts {name}", "p50", quantile(some, 0.5), "s", note=note)
        yield Result(SECTION, f"posts {name}", "p99", quantile(some, 0.99), "s", note=note)
    yield Result(SECTION, "posts", "slowdown of p99", quantile(waits_both, 0.99) / quantile(waits, 0.99), "x")


def _counts(counter: Counter, seconds: float) -> list[float]:
    """How long each count took that began and ended within so many seconds; where none did, how long the first took."""
    end = monotonic() + seconds
    sleep(_FLOWING)
    found: list[float] = []
    while True:
        took = counter.count().seconds
        if monotonic() > end:
            return found or [took]
        found.append(took)


def stored(settings: Settings, code: str) -> set[Key]:
    """Keys of all rows of an event."""
    found: set[Key] = set()
    with session(settings) as cassandra:
        listed = f"SELECT bucket FROM {settings.keyspace}.event_bucket WHERE event_name = %s"  # noqa: S608 -- ours
        keys = cassandra.prepare(f"SELECT t_id FROM {settings.keyspace}.tweet WHERE event_name = ? AND bucket = ?")  # noqa: S608
        for (bucket,) in list(cassandra.execute(listed, (code,))):
            found |= {(code, bucket, post) for (post,) in cassandra.execute(keys, (code, bucket), timeout=60)}
    return found
