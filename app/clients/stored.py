"""Reads the stored posts of an event, bucket by bucket, a page at a time."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import stamina
from cassandra import ConsistencyLevel, InvalidRequest
from cassandra.cluster import ResultSet, Session
from cassandra.query import BoundStatement, PreparedStatement

from app.clients.cassandra import TRANSIENT, ms_of, why
from app.errors import Unavailable
from app.schema import ANNOTATION, EVENT_BUCKET, REMOVAL, TWEET, TWEET_RAW
from app.settings import Settings

log = logging.getLogger(__name__)

PAGE_ROWS = 1000  # of 1 to 3 kB
PAGE_RAW = 200  # of 4 kB as a rule, but up to 300 kB
TRY_SECONDS = 60.0  # while Cassandra does not answer; whoever called goes on later where it was


class Bucket(NamedTuple):
    """A partition of the posts of an event."""

    name: str
    since: int  # milliseconds since 1970
    seconds: int  # 0: its posts have no time


class Stored:
    """The posts of one event. Blocks; every method raises Unavailable."""

    def __init__(self, settings: Settings, session: Session, code: str) -> None:
        self._session = session
        self._keyspace = settings.keyspace
        self._code = code
        self._prepared: dict[str, PreparedStatement] = {}

    def buckets(self) -> list[Bucket]:
        """The buckets that hold posts, oldest first."""
        found = [
            Bucket(name, ms_of(since), seconds or 0)
            for name, since, seconds in self._rows(
                f"SELECT bucket, since, seconds FROM {self._keyspace}.{EVENT_BUCKET} WHERE event_name = ?",  # noqa: S608
                [self._code],
                PAGE_ROWS,
            )
        ]
        return sorted(found, key=lambda bucket: (bucket.since, bucket.name))

    def pages(self, bucket: str, columns: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        """Rows of `tweet` in the order of their ids."""
        query = f"SELECT {', '.join(columns)} FROM {self._keyspace}.{TWEET} WHERE event_name = ? AND bucket = ?"  # noqa: S608
        yield from self._pages(query, [self._code, bucket], PAGE_ROWS)

    def raw(self, bucket: str) -> Iterator[tuple[str, str]]:
        """Id and JSON of the posts, in the order of their ids."""
        query = f"SELECT t_id, json FROM {self._keyspace}.{TWEET_RAW} WHERE event_name = ? AND bucket = ?"  # noqa: S608
        yield from self._rows(query, [self._code, bucket], PAGE_RAW)

    def taken_back(self, bucket: str) -> Iterator[tuple[str, str, str, str | None, datetime | None]]:
        """Id, fate, kind, why and when it was told, of posts that their source has taken back."""
        query = (
            f"SELECT t_id, fate, kind, why, told_at FROM {self._keyspace}.{REMOVAL} WHERE event_name = ? AND bucket = ?"  # noqa: S608
        )
        yield from self._rows(query, [self._code, bucket], PAGE_ROWS)

    def annotations(self, bucket: str) -> Iterator[tuple[str, Any, str | None]]:
        """Id, tags and note of those posts that people have written to, in the order of their ids."""
        query = f"SELECT t_id, tags, note FROM {self._keyspace}.{ANNOTATION} WHERE event_name = ? AND bucket = ?"  # noqa: S608
        yield from self._rows(query, [self._code, bucket], PAGE_ROWS)

    def has_tag(self, bucket: str, tags: Collection[str]) -> bool:
        """Whether people have given one of these tags to a post of the bucket; cheaper than to read them."""
        return any(own and not own.isdisjoint(tags) for _, own, _ in self.annotations(bucket))

    def has_of(self, bucket: str, since: int, until: int) -> bool:
        """Whether a post of the bucket was made in this time; cheaper than to read them."""
        query = f"SELECT t_created_at FROM {self._keyspace}.{TWEET} WHERE event_name = ? AND bucket = ?"  # noqa: S608
        times = (ms_of(at) for (at,) in self._rows(query, [self._code, bucket], PAGE_ROWS) if at is not None)
        return any(since <= at < until for at in times)

    def _rows(self, query: str, values: list[Any], size: int) -> Iterator[tuple[Any, ...]]:
        for page in self._pages(query, values, size):
            yield from page

    def _pages(self, query: str, values: list[Any], size: int) -> Iterator[list[tuple[Any, ...]]]:
        bound = self._statement(query).bind(values)
        bound.fetch_size = size
        # A row may not be everywhere yet, and none may be missing.
        bound.consistency_level = ConsistencyLevel.LOCAL_QUORUM
        state: bytes | None = None
        while True:
            page = self._page(bound, state)
            if rows := page.current_rows:
                yield rows
            state = page.paging_state
            if state is None:
                return

    def _statement(self, query: str) -> PreparedStatement:
        if query not in self._prepared:
            self._prepared[query] = self._try(lambda: self._session.prepare(query))
        return self._prepared[query]

    def _page(self, bound: BoundStatement, state: bytes | None) -> ResultSet:
        return self._try(lambda: self._session.execute(bound, paging_state=state))

    def _try(self, ask: Any) -> Any:
        try:
            for attempt in stamina.retry_context(on=TRANSIENT, attempts=None, timeout=TRY_SECONDS, wait_max=5.0):
                with attempt:
                    return ask()
        except InvalidRequest as invalid:
            raise Unavailable(f"Cassandra's schema is not ready ({invalid}); `starling migrate` makes it") from None
        except TRANSIENT as error:
            raise Unavailable(f"Cassandra does not answer ({why(error)})") from None
        raise AssertionError("unreachable")
