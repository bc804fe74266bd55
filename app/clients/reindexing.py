"""Makes the index of an event anew from its stored posts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

from cassandra.cluster import ResponseFuture, Session
from cassandra.query import BatchStatement, BatchType, PreparedStatement
from msgspec import Struct

from app.clients.cassandra import BATCH_ROWS, TRANSIENT, session, why
from app.clients.stored import Stored
from app.domain.partitioning import moment_of
from app.domain.posts import Malformed
from app.domain.rows import normalized, post_of
from app.domain.searching import tag_terms, terms_of
from app.errors import Unavailable
from app.schema import ANNOTATION, POST_INDEX
from app.settings import Settings

IN_FLIGHT = 8


class Reindexed(Struct, frozen=True):
    """How far it is."""

    buckets: int
    of: int
    posts: int


def reindex(settings: Settings, code: str) -> Iterator[Reindexed]:
    """Write what the index holds of each stored post, over what it holds; tells after each bucket. Raises Unavailable.

    All of it counts as written when it began: terms that were added meanwhile stay, and what is purged meanwhile stays
    away.
    """
    stamp = time.time_ns() // 1000
    with session(settings) as connected:
        stored = Stored(settings, connected, code)
        buckets = stored.buckets()
        posts = 0
        yield Reindexed(0, len(buckets), 0)
        try:
            work = _Bucketwise(settings, connected, stored, code, stamp)
            for number, bucket in enumerate(buckets, 1):
                posts += work.reindex(bucket.name)
                yield Reindexed(number, len(buckets), posts)
        except TRANSIENT as error:
            raise Unavailable(f"Cassandra does not answer ({why(error)}); give the command again") from None


class _Bucketwise:
    def __init__(self, settings: Settings, connected: Session, stored: Stored, code: str, stamp: int) -> None:
        self._connected = connected
        self._stored = stored
        self._code = code
        self._stamp = stamp
        self._put: PreparedStatement = connected.prepare(
            f"UPDATE {settings.keyspace}.{POST_INDEX} USING TIMESTAMP ? SET terms = ? "  # noqa: S608 -- constants
            "WHERE event_name = ? AND bucket = ? AND moment = ? AND t_id = ?"
        )
        self._tags: PreparedStatement = connected.prepare(
            f"SELECT t_id, tags FROM {settings.keyspace}.{ANNOTATION} WHERE event_name = ? AND bucket = ?"  # noqa: S608
        )

    def reindex(self, bucket: str) -> int:
        """Posts of it."""
        tags = {
            post_id: tag_terms(tags or ())
            for post_id, tags in self._connected.execute(self._tags, [self._code, bucket])
        }
        ways = {
            post_id: (matched or {}, source or "")
            for page in self._stored.pages(bucket, ("t_id", "matched", "source"))
            for post_id, matched, source in page
        }
        waiting: deque[ResponseFuture] = deque()
        count = 0
        entries = self._entries(bucket, ways, tags)
        while some := list(islice(entries, BATCH_ROWS)):
            batch = BatchStatement(BatchType.UNLOGGED)
            for values in some:
                batch.add(self._put, values)
            if len(waiting) >= IN_FLIGHT:
                waiting.popleft().result()
            waiting.append(self._connected.execute_async(batch))
            count += len(some)
        for one in waiting:
            one.result()
        return count

    def _entries(self, bucket: str, ways: dict[str, Any], tags: dict[str, set[str]]) -> Iterator[list[Any]]:
        for post_id, raw in self._stored.raw(bucket):
            if post_id not in ways:
                continue  # written this moment: it is indexed by who indexes
            matched, source = ways[post_id]
            try:
                made = normalized(post := post_of(raw.encode()))
            except Malformed:
                continue  # no version of this program has written it
            terms = terms_of(post, made.values, matched, source) | tags.get(post_id, set())
            moment = moment_of(post_id, made.created_ms) or 0
            yield [self._stamp, terms, self._code, bucket, moment, post_id]
