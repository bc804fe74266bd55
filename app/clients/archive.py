"""Finds stored posts by the index, and writes to them what people say of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from cassandra import ConsistencyLevel, InvalidRequest
from cassandra.cluster import Session
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement
from mode import Service
from msgspec import UNSET, Struct

from app.clients.cassandra import ASKED_ROWS, TRANSIENT, answer, connect, ms_of, why
from app.domain.annotating import Annotation, Change
from app.domain.columns import COLUMNS
from app.domain.events import Event
from app.domain.partitioning import bucket_of, moment_of, time_in_id
from app.domain.posts import Post
from app.domain.rows import post_of
from app.domain.searching import Bucket, Place, Search, tag_terms, windows
from app.errors import Unavailable
from app.schema import ANNOTATION, EVENT_BUCKET, EVENT_TAG, POST_INDEX, TWEET, TWEET_RAW
from app.settings import Settings

AGAIN_SECONDS = 2.0
IN_FLIGHT = 32  # questions, of all searches together
WAVE = 16  # windows that are asked at once, where those before had little
# What one page may cost; a search that comes to it goes on with the next page.
MOST_BUCKETS = 2000
MOST_LOOKED_AT = 600  # posts that the index names and the matcher decides on; each takes Cassandra about 1 ms
CHUNK = 200  # of these at once
WRITTEN = 50  # posts, by one batch


class Hit(Struct, frozen=True):
    """A stored post that was found. `way` says how it came: matched, source, origin, event_version, received_at."""

    place: Place
    bucket: str
    post: Post
    way: dict[str, Any]
    annotation: Annotation


class Found(Struct, frozen=True):
    """A page of what was found, newest first."""

    hits: list[Hit]
    below: Place | None  # where the next page begins; None where nothing is left
    complete: bool  # False: the page costs too much to be filled at once; the next goes on


class _Candidate(Struct, frozen=True, order=True):
    place: Place
    bucket: str


class Archive(Service):
    """One of a process; connects in the background. Every method raises Unavailable where Cassandra is not there."""

    abstract = False
    logger = logging.getLogger("mode.archive")

    def __init__(self, settings: Settings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._keyspace = settings.keyspace
        self._session: Session | None = None
        self._prepared: dict[str, PreparedStatement] = {}
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    @Service.task
    async def _connect(self) -> None:
        while self._session is None and not self.should_stop:
            try:
                self._session = await asyncio.to_thread(connect, self._settings)
            except Unavailable:
                await self.sleep(AGAIN_SECONDS)

    async def on_stop(self) -> None:
        """End the connection."""
        if self._session is not None:
            self._session.cluster.shutdown()

    async def find(self, code: str, asked: Search, below: Place | None, most: int) -> Found:
        """The newest posts of an event that are looked for, at most so many, below a place."""
        left = windows(await self._buckets(code), asked, below)
        hits: list[Hit] = []
        wave, buckets, looked = 1, 0, 0
        while left:
            if buckets >= MOST_BUCKETS or looked >= MOST_LOOKED_AT:
                return Found(hits, below, complete=False)
            now, left = left[:wave], left[wave:]
            wanted = most + 1 - len(hits)
            size = wanted if asked.matcher is None else min(CHUNK, 2 * wanted)
            found = await asyncio.gather(*[self._window(code, window, asked, below, size) for window in now])
            candidates = [(number, one) for number, some in enumerate(found) for one in some][:size]
            buckets += sum(map(len, now))
            looked += len(candidates)
            hits += await self._hits(code, [one for _, one in candidates], asked)
            if len(hits) > most:
                return Found(hits[:most], hits[most - 1].place, complete=True)
            if len(candidates) == size:  # there may be more in the window of the last one
                number, last = candidates[-1]
                below, left, wave = last.place, [*now[number:], *left], 1
            else:
                below, wave = Place(now[-1][0].since, ""), min(WAVE, 2 * wave)
        return Found(hits, None, complete=True)

    async def post(self, event: Event, post_id: str) -> Hit | None:
        """A stored post of an event, by its id."""
        if time_in_id(post_id) is not None:
            names = [bucket_of(event.buckets, post_id, None)[0]]
        else:
            names = [bucket.name for bucket in await self._buckets(event.code)][:MOST_BUCKETS]
        for at in range(0, len(names), WAVE):
            asking = [self._created(event.code, name, post_id) for name in names[at : at + WAVE]]
            for found in await asyncio.gather(*asking):
                if found is not None:
                    return next(iter(await self._hits(event.code, [found], Search())), None)
        return None

    async def row(self, code: str, hit: Hit) -> dict[str, Any]:
        """All columns of its row."""
        names = ", ".join(COLUMNS)
        query = f"SELECT {names} FROM {self._keyspace}.{TWEET} WHERE event_name = ? AND bucket = ? AND t_id = ?"  # noqa: S608
        rows = await self._rows(query, [code, hit.bucket, hit.place.post_id])
        return dict(zip(COLUMNS, rows[0], strict=True)) if rows else {}

    async def tags(self, code: str) -> list[str]:
        """Tags that a post of the event has, or had."""
        query = f"SELECT tag FROM {self._keyspace}.{EVENT_TAG} WHERE event_name = ? LIMIT 1000"  # noqa: S608
        return [tag for (tag,) in await self._rows(query, [code])]

    async def annotate(self, code: str, hits: Sequence[Hit], change: Change, who: str, at: datetime) -> None:
        """Write a change to posts. It counts as made `at`: what purges the event later removes it too."""
        stamp = int(at.timestamp() * 1_000_000)
        for tag in change.add:
            query = f"INSERT INTO {self._keyspace}.{EVENT_TAG} (event_name, tag) VALUES (?, ?) USING TIMESTAMP ?"  # noqa: S608
            await self._rows(query, [code, tag, stamp])
        by_bucket: dict[str, list[Hit]] = {}
        for hit in hits:
            by_bucket.setdefault(hit.bucket, []).append(hit)
        for own in by_bucket.values():
            for first in range(0, len(own), WRITTEN):
                await self._write(code, own[first : first + WRITTEN], change, who, at, stamp)

    async def rows(self, query: str, values: Sequence[Any]) -> Sequence[Any]:
        """The first page of what a query finds; `{keyspace}` stands for ours."""
        return await self._rows(query.format(keyspace=self._keyspace), values)

    async def _write(self, code: str, hits: list[Hit], change: Change, who: str, at: datetime, stamp: int) -> None:
        batch = BatchStatement(BatchType.UNLOGGED, consistency_level=ConsistencyLevel.LOCAL_QUORUM)
        sets: list[tuple[str, list[Any]]] = [("changed_by = ?, changed_at = ?", [who, at])]
        terms: list[tuple[str, list[Any]]] = []
        for sign, tags in (("+", change.add), ("-", change.remove)):
            if tags:
                sets.append((f"tags = tags {sign} ?", [set(tags)]))
                terms.append((f"terms = terms {sign} ?", [tag_terms(tags)]))
        if change.note is not UNSET:
            sets.append(("note = ?", [change.note or None]))
        for hit in hits:
            row, place = [code, hit.bucket], hit.place
            for what, values in sets:
                query = (
                    f"UPDATE {self._keyspace}.{ANNOTATION} USING TIMESTAMP ? SET {what} "  # noqa: S608
                    "WHERE event_name = ? AND bucket = ? AND t_id = ?"
                )
                batch.add(await self._bound(query, [stamp, *values, *row, place.post_id]))
            for what, values in terms:
                query = (
                    f"UPDATE {self._keyspace}.{POST_INDEX} USING TIMESTAMP ? SET {what} "  # noqa: S608
                    "WHERE event_name = ? AND bucket = ? AND moment = ? AND t_id = ?"
                )
                batch.add(await self._bound(query, [stamp, *values, *row, place.moment, place.post_id]))
        await self._executed(batch)

    async def _buckets(self, code: str) -> list[Bucket]:
        query = f"SELECT bucket, since, seconds FROM {self._keyspace}.{EVENT_BUCKET} WHERE event_name = ?"  # noqa: S608
        bound = await self._bound(query, [code])
        bound.fetch_size = 1_000_000  # a row is 40 bytes, and the list must be whole
        return [Bucket(name, ms_of(since), seconds or 0) for name, since, seconds in await self._executed(bound)]

    async def _window(
        self, code: str, window: list[Bucket], asked: Search, below: Place | None, most: int
    ) -> list[_Candidate]:
        """The newest entries of the index in the buckets of a window."""
        where = "".join([" AND terms CONTAINS ?" for _ in asked.terms])
        edges: list[Any] = []
        if asked.until is not None and (below is None or asked.until <= below.moment):
            below = Place(asked.until, "")
        if below is not None:
            where += " AND (moment, t_id) < (?, ?)"
            edges += [below.moment, below.post_id]
        if asked.since is not None:
            where += " AND (moment) >= (?)"
            edges.append(asked.since)
        query = (
            f"SELECT moment, t_id FROM {self._keyspace}.{POST_INDEX} "  # noqa: S608 -- constants
            f"WHERE event_name = ? AND bucket = ?{where} LIMIT ?"
        )
        asking = [self._rows(query, [code, one.name, *asked.terms, *edges, most]) for one in window]
        found = [
            _Candidate(Place(ms_of(moment), post_id), one.name)
            for one, rows in zip(window, await asyncio.gather(*asking), strict=True)
            for moment, post_id in rows
        ]
        return sorted(found, reverse=True)[:most]

    async def _hits(self, code: str, candidates: Sequence[_Candidate], asked: Search) -> list[Hit]:
        """The posts of candidates that are stored and are what is looked for."""
        by_bucket: dict[str, list[str]] = {}
        for one in candidates:
            by_bucket.setdefault(one.bucket, []).append(one.place.post_id)
        groups = [
            (bucket, ids[at : at + ASKED_ROWS])
            for bucket, ids in by_bucket.items()
            for at in range(0, len(ids), ASKED_ROWS)
        ]
        loaded: dict[tuple[str, str], Any] = {}
        for group in await asyncio.gather(*[self._loaded(code, bucket, ids) for bucket, ids in groups]):
            loaded |= group
        found = []
        for one in candidates:
            if (parts := loaded.get((one.bucket, one.place.post_id))) is None:
                continue
            raw, way, annotation = parts
            post = post_of(raw.encode())
            if asked.finds(way["matched"]) and (asked.matcher is None or asked.matcher.match(post)):
                found.append(Hit(one.place, one.bucket, post, way, annotation))
        return found

    async def _loaded(self, code: str, bucket: str, ids: list[str]) -> dict[tuple[str, str], Any]:
        where = "WHERE event_name = ? AND bucket = ? AND t_id IN ?"
        way = ("matched", "source", "origin", "event_version", "received_at")
        raws, ways, notes = await asyncio.gather(
            self._rows(f"SELECT t_id, json FROM {self._keyspace}.{TWEET_RAW} {where}", [code, bucket, ids]),  # noqa: S608
            self._rows(
                f"SELECT t_id, {', '.join(way)} FROM {self._keyspace}.{TWEET} {where}",  # noqa: S608
                [code, bucket, ids],
            ),
            self._rows(
                f"SELECT t_id, tags, note, changed_by, changed_at FROM {self._keyspace}.{ANNOTATION} {where}",  # noqa: S608
                [code, bucket, ids],
            ),
        )
        raw = dict(raws)
        said = {post_id: _annotation(rest) for post_id, *rest in notes}
        return {
            (bucket, post_id): (
                raw[post_id],
                dict(zip(way, rest, strict=True)) | {"matched": dict(rest[0] or {})},
                said.get(post_id, Annotation()),
            )
            for post_id, *rest in ways
            if raw.get(post_id)
        }

    async def _created(self, code: str, bucket: str, post_id: str) -> _Candidate | None:
        query = (
            f"SELECT t_created_at FROM {self._keyspace}.{TWEET} "  # noqa: S608
            "WHERE event_name = ? AND bucket = ? AND t_id = ?"
        )
        for (created,) in await self._rows(query, [code, bucket, post_id]):
            moment = moment_of(post_id, ms_of(created) if created is not None else None)
            return _Candidate(Place(moment or 0, post_id), bucket)
        return None

    async def _rows(self, query: str, values: Sequence[Any]) -> Sequence[Any]:
        return await self._executed(await self._bound(query, values))

    async def _bound(self, query: str, values: Iterable[Any]) -> BoundStatement:
        if query not in self._prepared:
            connected = self._connected()
            try:
                self._prepared[query] = await asyncio.to_thread(connected.prepare, query)
            except InvalidRequest as invalid:
                raise Unavailable(f"Cassandra's schema is not ready ({invalid}); `starling migrate` makes it") from None
            except TRANSIENT as error:
                raise Unavailable(f"Cassandra does not answer ({why(error)})") from None
            self._prepared[query].consistency_level = ConsistencyLevel.LOCAL_QUORUM
        return self._prepared[query].bind(list(values))

    async def _executed(self, statement: BatchStatement | BoundStatement) -> Sequence[Any]:
        async with self._slots:
            try:
                return (await answer(self._connected(), statement)).rows
            except InvalidRequest as invalid:
                raise Unavailable(f"Cassandra refuses what it is asked ({invalid})") from None
            except TRANSIENT as error:
                raise Unavailable(f"Cassandra does not answer ({why(error)})") from None

    def _connected(self) -> Session:
        if self._session is None:
            raise Unavailable(f"Cassandra is not reachable at {self._settings.cassandra}")
        return self._session


def _annotation(parts: Sequence[Any]) -> Annotation:
    tags, note, changed_by, changed_at = parts
    return Annotation(
        tags=tuple(sorted(tags or ())),
        note=note or "",
        changed_by=changed_by or "",
        changed_at=changed_at and changed_at.replace(tzinfo=UTC),
    )
