"""`python -m benchmarks.search`: how long the first page of a search takes among generated posts of one event.

Fills a Cassandra of its own with the posts of a day, through the same writers as the workers, then asks.
`STARLING_BENCH_STACK=directory` takes a stack that runs there, and what a run before has filled is asked again.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from itertools import islice
from time import monotonic, process_time, time_ns

import click

from app.clients.archive import Archive
from app.clients.cassandra import Writer, session
from app.clients.indexing import Entry, IndexWriter, entry_of
from app.domain.events import Event
from app.domain.partitioning import rule_for
from app.domain.posts import Malformed, Post, read
from app.domain.records import Line
from app.domain.rows import Row, normalized, row_of
from app.domain.searching import Place, Search, search
from app.errors import Unavailable
from app.generator import Generator, Mix
from app.schema import EVENT_BUCKET, statements
from app.settings import Settings
from benchmarks.servers import servers

START_MS = 1_793_491_200_000  # 2026-11-01; any fixed moment would do
DAY_MS = 86_400_000
CODE = "searched"
KEYWORDS = ("flood", "river dike", '"storm surge"', "#evacuation", "power outage")
BATCH = 1000  # posts
TIMES = 5  # each search, after one that warms up

HOUR_MS = DAY_MS // 24
SEARCHES = {
    "everything": search(),
    "one word, frequent": search("the"),
    "one word, a keyword": search("flood"),
    "two words": search("river dike"),
    "a phrase": search('"storm surge"'),
    "a phrase of frequent words that is nowhere": search('"the flood the"'),
    "two words that never meet": search("evacuation dike outage"),
    "a word that is nowhere": search("xyzzyplugh"),
    "a hashtag": search("#evacuation"),
    "a language": search(language="ja"),
    "a keyword and a language": search(keyword="flood", language="de"),
    "an hour at noon": search(since=START_MS + 12 * HOUR_MS, until=START_MS + 13 * HOUR_MS),
    "a word in an hour at noon": search("dike", since=START_MS + 12 * HOUR_MS, until=START_MS + 13 * HOUR_MS),
    "a tag that nobody gave": search(tags=["nobody"]),
}


def event_of(posts: int) -> Event:
    """Laid out as the manager lays it out for such a rate."""
    return Event(code=CODE, name=CODE, keywords=KEYWORDS, status="active", buckets=(rule_for(posts * 1000 / DAY_MS),))


def generated(event: Event, posts: int) -> Iterator[tuple[Post, Line]]:
    """Posts of a day, evenly spread; each counts as one of the event."""
    number = 0
    for planted in Generator([event], seed=1, mix=Mix(again=0, grown=0, late=0)).lines(START_MS, posts * 1000 / DAY_MS):
        try:
            found = read(planted.line)
        except Malformed:
            continue
        for post in found if isinstance(found, list) else ():
            matched = {KEYWORDS[number % len(KEYWORDS)]: "text"}
            yield post, Line(number % 4, number // 4, 0, 0, START_MS, "generated", "replay", matched)
            number += 1


async def fill(settings: Settings, posts: int) -> None:
    """Write posts and index."""
    event = event_of(posts)

    def purged(code: str, version: int) -> bool:
        return False

    async with Writer(settings, purged) as writer, IndexWriter(settings, purged, lambda _: "drop") as index:
        await writer.connected()
        await index.connected()
        began, used, done = monotonic(), 0.0, 0
        source = islice(generated(event, posts), posts)
        while some := list(islice(source, BATCH)):
            rows: list[Row] = [row_of(event, 1, line, normalized(post)) for post, line in some]
            await writer.write(rows, time_ns() // 1000)
            before = process_time()
            entries: list[Entry] = [entry_of(row, post) for row, (post, _) in zip(rows, some, strict=True)]
            await index.write_index(entries)
            used += process_time() - before
            done += len(some)
            if done % 50_000 == 0:
                click.echo(f"{done:,} posts, {done / (monotonic() - began):,.0f} a second", err=True)
        click.echo(
            f"{done:,} posts written in {monotonic() - began:.0f} s; indexing: {used / done * 1e6:.0f} µs of CPU a post"
        )


async def ask(settings: Settings) -> float:
    """Print how long each search takes; the longest, in ms."""
    worst = 0.0
    async with Archive(settings) as archive:
        while True:
            try:
                await archive.tags(CODE)
                break
            except Unavailable:
                await asyncio.sleep(0.1)
        (one,) = (await archive.find(CODE, search("flood"), None, 1)).hits
        author = one.post.body.get("user", {}).get("screen_name") or "nobody"
        for name, asked in {**SEARCHES, "an account": search(account=author)}.items():
            times, found, pages = await _timed(archive, asked)
            worst = max(worst, *times)
            figures = (min(times), sorted(times)[len(times) // 2], max(times))
            click.echo(f"| {name} | {found} | {' | '.join(f'{one:.0f}' for one in figures)} | {pages} |")
    return worst


async def _timed(archive: Archive, asked: Search) -> tuple[list[float], int, str]:
    times = []
    below: Place | None = None
    for _ in range(TIMES + 1):
        began = monotonic()
        page = await archive.find(CODE, asked, None, 50)
        times.append((monotonic() - began) * 1000)
        below = page.below
    return times[1:], len(page.hits), "whole" if page.complete else f"goes on below {below.moment if below else 0}"


@click.command()
@click.option("--posts", type=click.IntRange(1000), default=1_000_000, show_default=True)
def main(posts: int) -> None:
    """Measure the first page of searches."""
    with servers() as stack:
        settings = Settings.model_validate({**stack.addresses, "keyspace": f"search_{posts}"})
        with session(settings) as cassandra:
            for statement in statements(settings):
                cassandra.execute(statement, timeout=60)
            query = f"SELECT bucket FROM {settings.keyspace}.{EVENT_BUCKET} LIMIT 1"  # noqa: S608 -- constants
            filled = cassandra.execute(query).one()
        if filled is None:
            asyncio.run(fill(settings, posts))
        click.echo("| search | found | fastest ms | middle ms | slowest ms | page |\n|---|---|---|---|---|---|")
        worst = asyncio.run(ask(settings))
    sys.exit(worst > 1000)


if __name__ == "__main__":
    main()
