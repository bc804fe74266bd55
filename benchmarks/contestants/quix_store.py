"""Kafka to Cassandra by Quix Streams in one step: Starling's matcher and normalizer, rows written by a sink.

Mode "rows": each row by its own prepared INSERTs, so many in flight at a time, all awaited before a commit.
Mode "batches": Starling's own encoding and unlogged batches of one partition in a Quix BatchingSink.
Mode "steps": as "batches", but by way of `classified_tweets`, with what matched in the headers, as Starling does it.
All write `tweet` and `tweet_raw`, as Starling does; none counts activity, and the first two leave out a topic that
others may read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from threading import Semaphore
from typing import Any
from uuid import UUID

from cassandra.cluster import Session
from cassandra.query import UNSET_VALUE, BatchStatement, BatchType, BoundStatement
from quixstreams import Application
from quixstreams.sinks.base import BaseSink, BatchingSink, SinkBatch

from app import schema
from app.clients.cassandra import BATCH_ROWS, connect
from app.clients.encoding import encode_bucket, encode_raw, encode_row
from app.domain.events import Event
from app.domain.matcher import Match
from app.domain.posts import Control, Post, read
from app.domain.records import Headers, Line, classified_headers, classified_record
from app.domain.rows import Row, Rows, normalized, row_of
from benchmarks.contestants.job import Job, job, tune
from benchmarks.contestants.quix import Second, application, raw_stream

IN_FLIGHT = {"rows": 256, "batches": 16, "steps": 16}


class _Store:
    """Sends statements, so many at a time; an error comes up at the next `settle`."""

    def __init__(self, session: Session, settings: Any, in_flight: int) -> None:
        self._session = session
        self._slots = Semaphore(in_flight)
        self._in_flight = in_flight
        self._errors: list[Exception] = []
        self._listed: set[tuple[str, str]] = set()
        names = (schema.TWEET, schema.TWEET_RAW, schema.EVENT_BUCKET)
        self.inserts = {name: session.prepare(schema.insert(settings, name)) for name in names}

    def send(self, statement: Any, values: list[Any] | None = None) -> None:
        self._slots.acquire()
        self._session.execute_async(statement, values).add_callbacks(self._done, self._failed)

    def list_bucket(self, row: Row) -> None:
        if (row.code, row.bucket) not in self._listed:
            self._listed.add((row.code, row.bucket))
            self.send(self.bound(schema.EVENT_BUCKET, encode_bucket(row)))

    def bound(self, table: str, values: list[Any]) -> BoundStatement:
        bound = BoundStatement(self.inserts[table])
        bound.values = values
        return bound

    def settle(self) -> None:
        for _ in range(self._in_flight):
            self._slots.acquire()
        for _ in range(self._in_flight):
            self._slots.release()
        if self._errors:
            raise self._errors[0]

    def _done(self, _rows: object) -> None:
        self._slots.release()

    def _failed(self, error: Exception) -> None:
        self._errors.append(error)
        self._slots.release()


class _RowSink(BaseSink):
    """One INSERT a row and table, with the driver's own binding of values."""

    def __init__(self, store: _Store) -> None:
        super().__init__()
        self._store = store

    def add(self, value: Any, *_: Any, **__: Any) -> None:
        row: Row = value
        values = [UNSET_VALUE if item is None else item for item in row.values]
        values[0] = UUID(bytes=values[0])
        stamp = time.time_ns() // 1000
        self._store.list_bucket(row)
        self._store.send(self._store.inserts[schema.TWEET], [*values, stamp])
        raw = [row.code, row.bucket, row.post.id, row.post.raw.decode(), stamp]
        self._store.send(self._store.inserts[schema.TWEET_RAW], raw)

    def flush(self) -> None:
        self._store.settle()


class _BatchSink(BatchingSink):
    """Unlogged batches of one partition, encoded as Starling does."""

    def __init__(self, store: _Store) -> None:
        super().__init__()
        self._store = store

    def write(self, batch: SinkBatch) -> None:
        groups: dict[tuple[str, str], list[Row]] = {}
        for item in batch:
            groups.setdefault((item.value.code, item.value.bucket), []).append(item.value)
        for rows in groups.values():
            self._store.list_bucket(rows[0])
            for start in range(0, len(rows), BATCH_ROWS):
                statement = BatchStatement(BatchType.UNLOGGED)
                stamp = time.time_ns() // 1000
                for row in rows[start : start + BATCH_ROWS]:
                    statement.add(self._store.bound(schema.TWEET, encode_row(row, stamp)))
                    statement.add(self._store.bound(schema.TWEET_RAW, encode_raw(row, stamp)))
                self._store.send(statement)
        self._store.settle()


def _classified(value: bytes, match: Callable[[Post], list[Match]]) -> Iterator[tuple[Post, list[tuple[Event, Line]]]]:
    for number, line in enumerate(value.split(b"\n")):
        posts = read(line)
        if isinstance(posts, Control):
            continue
        for post in posts:
            if matches := match(post):
                yield post, [(one.event, Line(0, 0, number, 0, 0, "bench", "replay", one.matched)) for one in matches]


def _one_step(app: Application, given: Job, sink: BaseSink) -> None:
    match = given.matcher().match

    def rows(value: bytes) -> Iterable[Row]:
        made = []
        for post, places in _classified(value, match):
            shared = normalized(post)
            made += [row_of(event, 1, line, shared) for event, line in places]
        return made

    raw_stream(app, given).apply(rows, expand=True).sink(sink)


def _two_steps(app: Application, given: Job, sink: BaseSink) -> None:
    match = given.matcher().match
    events = {event.code: event for event in given.events}
    topic = app.topic(
        given.classified_topic,
        key_serializer="bytes",
        value_serializer=Second(),
        key_deserializer="bytes",
        value_deserializer="bytes",
    )

    def classify(value: bytes) -> Iterable[tuple[bytes, bytes, Headers]]:
        found: dict[str, tuple[list[Line], list[bytes]]] = {}
        for post, places in _classified(value, match):
            for event, line in places:
                lines, posts = found.setdefault(event.code, ([], []))
                lines.append(line)
                posts.append(post.raw)
        return [
            (code.encode(), b"\n".join(posts), classified_headers(1, lines)) for code, (lines, posts) in found.items()
        ]

    def rows(value: bytes, key: bytes, _timestamp: int, headers: Headers) -> Iterable[Row]:
        record = classified_record(key, value, dict(headers))
        event = events[record.code]
        made = Rows()
        return [made.row(event, 1, line, post) for line, post in zip(record.lines, record.posts, strict=True)]

    classified = raw_stream(app, given).apply(classify, expand=True).set_headers(lambda value, *_: value[2])
    classified.to_topic(topic, key=lambda value: value[0])
    app.dataframe(topic).apply(rows, expand=True, metadata=True).sink(sink)


def main() -> None:
    given = job()
    tune()
    store = _Store(connect(given.settings), given.settings, IN_FLIGHT[given.mode])
    app = application(given)
    if given.mode == "steps":
        _two_steps(app, given, _BatchSink(store))
    else:
        _one_step(app, given, _RowSink(store) if given.mode == "rows" else _BatchSink(store))
    app.run()


if __name__ == "__main__":
    main()
