"""Writes the index by which posts are found: their terms, under the bucket of their row."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from cassandra import InvalidRequest
from cassandra.cluster import Session
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement
from msgspec import Struct

from app.clients import retractions
from app.clients.cassandra import TRANSIENT, Rejected, Writer, cut
from app.clients.encoding import encode_terms
from app.domain.events import Policy
from app.domain.partitioning import moment_of
from app.domain.posts import Post
from app.domain.retracting import fate_of
from app.domain.rows import Row
from app.domain.searching import terms_of
from app.errors import Unavailable
from app.metrics import POSTS_INDEXED
from app.schema import POST_INDEX
from app.settings import Settings

_ADD = "add terms"
CONCURRENCY = 4  # batches in flight: a quarter of what the normalizers have, who go first


class Entry(Struct, frozen=True):
    """What the index holds of a post."""

    row: Row
    moment: int  # milliseconds since 1970; 0 where the post has no time
    terms: frozenset[str]

    @property
    def size(self) -> int:
        """About how many bytes it takes on the wire."""
        return 100 + sum(len(term) + 4 for term in self.terms)


def entry_of(row: Row, post: Post) -> Entry:
    """The entry of a row; `post` is what it was made of."""
    values = row.post.values
    moment = moment_of(post.id, row.post.created_ms) or 0
    return Entry(row, moment, frozenset(terms_of(post, values, row.line.matched, row.line.source)))


class IndexWriter(Writer):
    """Adds to the index. Adding twice is adding once; tags that people gave stay."""

    abstract = False

    def __init__(
        self,
        settings: Settings,
        purged: Callable[[str, int], bool],
        policy_of: Callable[[str], Policy],
        **kwargs: Any,
    ) -> None:
        super().__init__(settings.model_copy(update={"write_concurrency": CONCURRENCY}), purged, **kwargs)
        self._policy_of = policy_of  # by event code: what becomes of posts that are taken back

    def _prepare(self, connected: Session) -> dict[str, PreparedStatement]:
        made = super()._prepare(connected)
        try:
            made[_ADD] = connected.prepare(
                f"UPDATE {self._settings.keyspace}.{POST_INDEX} USING TIMESTAMP ? SET terms = terms + ? "  # noqa: S608 -- constants
                "WHERE event_name = ? AND bucket = ? AND moment = ? AND t_id = ?"
            )
        except (InvalidRequest, *TRANSIENT) as error:
            raise Unavailable(f"Cassandra's schema is not ready ({error}); `starling migrate` makes it") from None
        return made

    async def write_index(self, entries: Iterable[Entry]) -> list[tuple[Entry, str]]:
        """Add entries and return when all are acknowledged; those that Cassandra will never take come back with why.

        Not those that their source has taken back; what it takes back meanwhile is removed by a later write.
        """
        stamp = time.time_ns() // 1000
        entries = await self._standing_ones(list(entries))
        partitions: dict[tuple[str, int, str], list[Entry]] = {}
        for entry in entries:
            partitions.setdefault((entry.row.code, entry.row.born, entry.row.bucket), []).append(entry)
        # A purge removes what stands in the buckets on the list.
        await asyncio.gather(*[self.list_bucket(group[0].row) for group in partitions.values()])
        batches = [batch for group in partitions.values() for batch in cut(group)]
        refused = await asyncio.gather(*[self._add(batch, stamp) for batch in batches])
        return [entry for some in refused for entry in some]

    async def _standing_ones(self, entries: list[Entry]) -> list[Entry]:
        taken = await retractions.taken_back(self, [entry.row for entry in entries])
        return [
            entry
            for entry in entries
            if (found := taken.get(entry.row.key)) is None
            or fate_of(found.kind, self._policy_of(entry.row.code)) in ("held", "scrubbed")
        ]

    async def _add(self, entries: list[Entry], stamp: int) -> list[tuple[Entry, str]]:
        batch = BatchStatement(BatchType.UNLOGGED)
        for entry in entries:
            bound = BoundStatement(self._inserts[_ADD])
            bound.values = encode_terms(entry.row, entry.moment, entry.terms, stamp)
            batch.add(bound)
        first = entries[0].row
        try:
            await self._until_done(batch, lambda: self._purged(first.code, first.born))
        except Rejected as rejected:
            if len(entries) == 1:
                return [(entries[0], str(rejected))]
            refused = [await self._add([entry], stamp) for entry in entries]
            return [entry for some in refused for entry in some]
        POSTS_INDEXED.inc(len(entries))
        return []
