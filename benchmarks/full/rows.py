"""Rows by the million: generated posts, normalized once, then stored again and again with ids and times of their own.

    stock = Stock(20_000)
    load(settings, [Spread(event_of("flood", rate=57), posts=4_900_000)], stock)            # `tweet`
    load(settings, spreads, stock, raw=True)                                                 # and `tweet_raw`
    load_thesis(settings, spreads, stock)                                                    # the thesis's table

Ours go by the workers' own `Writer`. Every post of an event is another row; all of a spread are evenly apart in time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from struct import Struct as Packer
from time import monotonic, process_time, time_ns

import click
from cassandra.concurrent import execute_concurrent
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement
from msgspec import Struct

from app.clients.cassandra import Writer, session
from app.clients.encoding import encode_row
from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS, THESIS_COLUMNS
from app.domain.events import Event
from app.domain.partitioning import EXPECTED_RATE, BucketRule, next_rule, rule_for
from app.domain.posts import Malformed, read
from app.domain.records import Line
from app.domain.rows import NormalizedPost, Row, normalized, row_of
from app.generator import Generator, Mix
from app.generator.times import snowflake
from app.schema import statements
from app.settings import Settings

START_MS = 1_793_491_200_000  # 2026-11-01; any fixed day would do
DAY = 86_400  # seconds
KEYWORDS = ("flood", "river dike", '"storm surge"', "#evacuation", "power outage")
THESIS = "thesis"  # its table, in the same keyspace
CHUNK = 4096  # rows that are made and sent at once; as many more are on their way
REPORTED = 250_000  # rows
_THESIS_ROWS = 32  # of a batch: each is a partition of its own
_THESIS_IN_FLIGHT = 16  # batches

_COLUMNS = tuple(POST_COLUMNS | OUR_POST_COLUMNS)
_ID, _CREATED = _COLUMNS.index("t_id"), _COLUMNS.index("t_created_at")
_bigint = Packer(">q").pack


class Spread(Struct, frozen=True, kw_only=True):
    """So many posts of an event, from `since` (ms) on over so many seconds."""

    event: Event
    posts: int
    since: int = START_MS
    seconds: int = DAY


class Loaded(Struct, frozen=True):
    """What a loading took; `cpu` is this process's, Cassandra's is not in it."""

    rows: int
    wall: float
    cpu: float


def event_of(code: str, rate: float, since: int = START_MS) -> Event:
    """An event laid out by the manager, which has seen so many posts a second since a minute before `since` (ms).

    Nobody had told it: the first ten seconds lie as those of any new event.
    """
    rules: tuple[BucketRule, ...] = (rule_for(EXPECTED_RATE),)
    grown = next_rule(rules, {since // 60_000 - 1: round(rate * 60)}, since)
    rules += (grown,) if grown else ()
    return Event(code=code, name=code, keywords=KEYWORDS, status="active", buckets=rules)


class Stock:
    """Different posts of the generator, as the normalizer makes them; `raw` keeps their JSON."""

    def __init__(self, posts: int = 50_000, seed: int = 1) -> None:
        event = event_of("stock", 1)
        self._posts: list[NormalizedPost] = []
        for post in islice(_generated(event, seed), posts):
            encode_row(row_of(event, 1, _line(0, 0), post), 0)  # it keeps the post's own values as they are stored
            self._posts.append(post)

    def rows(self, spread: Spread, raw: bool = False) -> Iterator[Row]:
        """The rows of a spread, in order of time."""
        event, count, step = spread.event, len(self._posts), spread.seconds * 1000 / spread.posts
        for number in range(spread.posts):
            at = spread.since + int(number * step)
            post = _again(self._posts[number % count], snowflake(at, number), at, raw)
            yield row_of(event, 1, _line(number, at), post)


def _generated(event: Event, seed: int) -> Iterator[NormalizedPost]:
    mix = Mix(again=0, grown=0, late=0, control=0, malformed=0)
    for planted in Generator([event], seed=seed, mix=mix).lines(START_MS, 10):
        try:
            found = read(planted.line)
        except Malformed:
            continue
        yield from map(normalized, found if isinstance(found, list) else ())


def _line(number: int, at: int) -> Line:
    return Line(number % 4, number // 4, 0, 0, at, "generated", "replay", {KEYWORDS[number % len(KEYWORDS)]: "text"})


def _again(post: NormalizedPost, number: int, at: int, raw: bool) -> NormalizedPost:
    """The same post under another id, made at another moment."""
    assert post.encoded is not None  # noqa: S101 -- the stock has seen to it
    new, values, encoded = str(number), post.values.copy(), post.encoded.copy()
    values[_ID], values[_CREATED] = new, at
    encoded[_ID], encoded[_CREATED] = new.encode(), _bigint(at)
    text = post.raw.replace(post.id.encode(), encoded[_ID]) if raw else b""
    return NormalizedPost(new, text, values, encoded)


def make_tables(settings: Settings) -> None:
    """Keyspace and tables of Starling, where they are missing."""
    with session(settings) as cassandra:
        for statement in statements(settings):
            cassandra.execute(statement, timeout=60)


def load(settings: Settings, spreads: Sequence[Spread], stock: Stock, raw: bool = False) -> Loaded:
    """Store the posts in `tweet`, and with `raw` their JSON in `tweet_raw`, as a worker does."""
    make_tables(settings)
    with _unlogged(settings):
        return asyncio.run(_load(settings, spreads, stock, raw))


@contextmanager
def _unlogged(settings: Settings) -> Iterator[None]:
    """Spare Cassandra its commit log for as long as rows are loaded: what is lost is loaded anew."""
    with session(settings) as cassandra:
        for durable in ("false", "true"):
            cassandra.execute(f"ALTER KEYSPACE {settings.keyspace} WITH durable_writes = {durable}", timeout=60)
            if durable == "false":
                yield


async def _load(settings: Settings, spreads: Sequence[Spread], stock: Stock, raw: bool) -> Loaded:
    began, used, done = monotonic(), process_time(), 0
    rows = chain.from_iterable(stock.rows(spread, raw) for spread in spreads)
    async with Writer(settings, lambda _code, _version: False) as writer:
        await writer.connected()
        before: asyncio.Task[None] | None = None
        while some := list(islice(rows, CHUNK)):
            task = asyncio.create_task(_write(writer, some))
            if before is not None:
                await before
            before = task
            await asyncio.sleep(0)
            done += len(some)
            _tell(done, len(some), began)
        if before is not None:
            await before
    return Loaded(done, monotonic() - began, process_time() - used)


async def _write(writer: Writer, rows: list[Row]) -> None:
    if refused := await writer.write(rows, time_ns() // 1000):
        raise RuntimeError(f"Cassandra refuses a row: {refused[0][1]}")


def thesis_statements(keyspace: str) -> Iterator[str]:
    """CQL of the thesis's table: as its normalizer's model.py (casassg/tweet_normalizer) has cqlengine make it."""
    columns = ", ".join(f"{name} {kind}" for name, kind in THESIS_COLUMNS.items())
    yield (
        f"CREATE TABLE IF NOT EXISTS {keyspace}.{THESIS} ({columns}, PRIMARY KEY (id, t_id)) "
        "WITH CLUSTERING ORDER BY (t_id DESC)"
    )
    yield f"CREATE INDEX IF NOT EXISTS index_tweet_event_name ON {keyspace}.{THESIS} (event_name)"


def load_thesis(settings: Settings, spreads: Sequence[Spread], stock: Stock) -> Loaded:
    """Store the same posts, with the same values in 36 columns, in the thesis's table."""
    make_tables(settings)
    # Of batches of many partitions Cassandra warns; on one node they cost nothing.
    logging.getLogger("cassandra.protocol").setLevel(logging.ERROR)
    names, marks = ", ".join(THESIS_COLUMNS), ", ".join("?" * len(THESIS_COLUMNS))
    with session(settings) as cassandra:
        for statement in thesis_statements(settings.keyspace):
            cassandra.execute(statement, timeout=60)
        insert = cassandra.prepare(f"INSERT INTO {settings.keyspace}.{THESIS} ({names}) VALUES ({marks})")  # noqa: S608
        began, used, done = monotonic(), process_time(), 0
        rows = chain.from_iterable(stock.rows(spread) for spread in spreads)
        batches = ((batch, None) for batch in _batches(insert, rows))
        for _ in execute_concurrent(cassandra, batches, _THESIS_IN_FLIGHT, results_generator=True):
            done += _THESIS_ROWS
            _tell(done, _THESIS_ROWS, began)
        return Loaded(sum(spread.posts for spread in spreads), monotonic() - began, process_time() - used)


def _batches(insert: PreparedStatement, rows: Iterator[Row]) -> Iterator[BatchStatement]:
    while some := list(islice(rows, _THESIS_ROWS)):
        batch = BatchStatement(BatchType.UNLOGGED)
        for row in some:
            bound = BoundStatement(insert)
            bound.values = encode_row(row, 0)[: len(THESIS_COLUMNS)]
            batch.add(bound)
        yield batch


def _tell(done: int, newly: int, began: float) -> None:
    if done // REPORTED > (done - newly) // REPORTED:
        click.echo(f"  {done:,} rows, {done / (monotonic() - began):,.0f} a second", err=True)
