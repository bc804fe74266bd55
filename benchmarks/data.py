"""The posts and events that everything is measured with.

The posts of `shared/tweets` are read where they are and become, in a temporary directory, a stream of as many posts as
asked for: repeated, each time with new ids and times, as if they had been written one after the other. Real posts never
enter the project.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from app.domain.events import Event
from app.domain.partitioning import SNOWFLAKE_EPOCH_MS, rule_for
from app.domain.posts import Malformed, Post, read
from benchmarks.words import covering, dealt, document_words, matching_share, share_of

TWEETS = Path(__file__).parents[2] / "shared" / "tweets"
FILTERED = ("filter-retail-2016", "filter-us-politics-2017", "filter-disaster-2017")
EVENTS, KEYWORDS = 10, 5
START_MS = 1_793_491_200_000  # 2026-11-01; any fixed moment would do
STREAM_RATE = 1_000  # posts a second, by the times in their ids
_SEED = 7


class NoPosts(Exception):
    """The posts are not there."""


@dataclass(frozen=True)
class Case:
    """A stream and the events to look for in it."""

    name: str
    stream: Path  # one post a line
    posts: int
    events: list[Event]
    share: float  # of posts that hold a keyword, as planned; what matched is measured


class Corpus:
    """The single v1.1 posts of the files, by file, without control messages and repetitions."""

    def __init__(self, directory: Path = TWEETS) -> None:
        if not directory.is_dir():
            raise NoPosts(f"the benchmarks need the real posts in {directory.name}/ of the shared directory: not there")
        self._files: dict[str, list[Post]] = {}
        seen: set[str] = set()
        for file in sorted(directory.glob("*.jsonl.gz")):
            with gzip.open(file) as lines:
                posts = [post for line in lines if (post := _single(line.rstrip(b"\n"))) and post.id not in seen]
            seen.update(post.id for post in posts)
            self._files[file.name.removesuffix(".jsonl.gz")] = posts
        self.filtered = [post for name in FILTERED for post in self._files[name]]
        self.others = [post for name, posts in self._files.items() if name not in FILTERED for post in posts]
        self.all = self.others + self.filtered


def _single(line: bytes) -> Post | None:
    try:
        posts = read(line)
    except Malformed:
        return None
    # Substituting a short id could hit another number.
    return posts[0] if isinstance(posts, list) and posts[0].wire == "v1" and len(posts[0].id) >= 15 else None


def sparse_case(corpus: Corpus, directory: Path, posts: int, events: int = EVENTS, share: float = 0.15) -> Case:
    """A stream of all files in which few posts match."""
    documents = document_words(corpus.all)
    words = matching_share(documents, events * KEYWORDS, share)
    planned = share_of(documents, words)
    stream = directory / "sparse.jsonl"
    if not stream.exists():
        write_stream(stream, corpus.all, posts)
    made = make_events(dealt(words, documents, events), planned)
    return Case(f"{planned:.0%} match, {events} events", stream, posts, made, planned)


def dense_case(corpus: Corpus, directory: Path, posts: int, share: float = 0.8) -> Case:
    """A stream in which most posts match.

    No 50 words that mean anything occur in 80 % of the world's posts, so the stream is what a filter at the source
    lets through: mostly the posts that were taken with `statuses/filter`, and as many others as bring the share down.
    """
    many = document_words(corpus.filtered)
    others = document_words(corpus.others)
    words = covering(many, EVENTS * KEYWORDS)
    high, low = share_of(many, words), share_of(others, words)
    weight = min(1.0, (share - low) / (high - low))
    drawn = random.Random(_SEED).sample(corpus.others, min(len(corpus.others), round(len(many) * (1 / weight - 1))))
    stream = directory / "dense.jsonl"
    mixed = corpus.filtered + drawn
    if not stream.exists():
        write_stream(stream, mixed, posts)
    planned = share_of(document_words(mixed), words)
    made = make_events(dealt(words, many, EVENTS), planned)
    return Case(f"{planned:.0%} match, {EVENTS} events", stream, posts, made, planned)


def make_events(keywords: Sequence[Sequence[str]], share: float) -> list[Event]:
    """Active events, laid out for the rate at which the stream's own times give them posts."""
    rule = rule_for(2 * share * STREAM_RATE / len(keywords))
    return [
        Event(
            code=f"bench-{number:04}", name=f"bench {number}", keywords=tuple(group), status="active", buckets=(rule,)
        )
        for number, group in enumerate(keywords)
    ]


def write_stream(file: Path, posts: Sequence[Post], count: int) -> None:
    """Write a stream of so many posts, one a line, in an order that mixes the files."""
    with file.open("wb") as out:
        out.writelines(renewed(posts, count))


def renewed(posts: Sequence[Post], count: int) -> Iterator[bytes]:
    """Lines of so many posts with new ids and times, in the order of these."""
    shuffled = list(posts)
    random.Random(_SEED).shuffle(shuffled)
    for number in range(count):
        post = shuffled[number % len(shuffled)]
        at = START_MS + number * 1000 // STREAM_RATE
        fresh = str((at - SNOWFLAKE_EPOCH_MS) << 22 | number & 0xFFF).encode()
        line = post.raw.replace(post.id.encode(), fresh)
        created = post.body.get("created_at")
        if isinstance(created, str) and len(created) == 30:
            then = f"{datetime.fromtimestamp(at // 1000, UTC):%a %b %d %H:%M:%S +0000 %Y}"
            line = line.replace(json.dumps(created).encode(), json.dumps(then).encode())
        yield line + b"\n"


def lines_of(file: Path, count: int | None = None, skip: int = 0) -> list[bytes]:
    """Lines of a stream, without their ends."""
    with file.open("rb") as lines:
        return [line.rstrip(b"\n") for line in islice(lines, skip, None if count is None else skip + count)]
