"""The `trends` table: what is frequent in each event, by partition of `classified_tweets` and minute.

A key is an event's code and version of birth, partition and minute: `code|born|partition|minute`. A minute has
positions of its own (`app.domain.counting`), so it is exact whichever of a batch's writes a kill -9 has left. What is
outdated is removed once it was told that it is gone: whoever is killed in between leaves it to the next owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import faust
import msgspec
from faust.types import TP

from app.domain.counting import Seen
from app.domain.events import Event
from app.domain.rows import Row
from app.domain.trends import KEPT, Lane, Minute, Word, decode_minute, lane_of, minute_of
from app.faustapp import App
from app.roles import EVENT_TRENDS
from tables.changelog import put, table

Entry: TypeAlias = tuple[TP, str, bytes | None]


class Minutes:
    """Which minutes of a lane there are."""

    def __init__(self) -> None:
        self.there: set[int] = set()
        self.oldest = 0  # that counts still

    def add(self, minute: int) -> None:
        """There is this one now."""
        self.there.add(minute)
        self.oldest = max(self.oldest, minute - KEPT + 1)


class TrendsTable:
    """Counts by minute. Minutes in use are kept decoded for a while; which there are is known by lane."""

    def __init__(self, app: App, topic: str, partitions: int) -> None:
        self._app = app
        self._table = table(app, EVENT_TRENDS, partitions)
        self._topic = topic
        self._lanes: dict[Lane, Minutes] | None = None  # None: to be found anew
        self._live: dict[str, Minute] = {}
        app.on_partitions_revoked.connect(self._forget, weak=False)

    async def _forget(self, _app: faust.App, revoked: set[TP], **_: object) -> None:
        self._lanes = None
        self._live.clear()

    async def count(self, rows: Iterable[tuple[int, Row]]) -> list[Entry]:
        """Count rows, each with its partition; those that were counted before, or are too late, change nothing.

        Returns what has changed as partition, key and value. Of a partition whose changelog is another's nothing is
        counted: so it is while a version that knows no trends works beside this one.
        """
        lanes, owned = self._found(), self._owned()
        touched: dict[str, int] = {}
        for partition, row in rows:
            post = row.seen()
            minute = minute_of(post)
            if minute is None or partition not in owned:
                continue
            lane = Lane(row.code, row.born, partition)
            minutes = lanes.setdefault(lane, Minutes())
            if minute < minutes.oldest:
                continue
            key = lane.key(minute)
            if self._minute(key).count(post):
                minutes.add(minute)
                touched[key] = partition
        for key in touched:
            self._live[key].trim()
        return await self._tell(touched)

    async def retract(self, words: Iterable[Word]) -> list[Entry]:
        """Take back what was counted of stored posts that were removed or redacted, once for each word; as `count`."""
        lanes, owned = self._found(), self._owned()
        touched: dict[str, int] = {}
        for lane, at, posts in words:
            there = lanes[lane].there if lane in lanes and lane.partition in owned else ()
            minutes: dict[int, list[Seen]] = {}
            for post in posts:
                minute = minute_of(post)
                if minute is not None and minute in there and post.fate in ("removed", "redacted"):
                    minutes.setdefault(minute, []).append(post)
            for minute, some in minutes.items():
                if self._minute(lane.key(minute)).retract(at, some):
                    touched[lane.key(minute)] = lane.partition
        return await self._tell(touched)

    async def _tell(self, touched: dict[str, int]) -> list[Entry]:
        """Write minutes, by key with their partitions."""
        changed = [(partition, key, msgspec.json.encode(self._live[key])) for key, partition in touched.items()]
        await put(self._table, changed)
        return [(TP(self._topic, partition), key, value) for partition, key, value in changed]

    def _minute(self, key: str) -> Minute:
        minute = self._live.get(key)
        if minute is None:
            value = self._table.data.get(key)
            minute = self._live[key] = decode_minute(value) if value else Minute()
        return minute

    def outdated(self, known: Mapping[str, Event]) -> list[Entry]:
        """Minutes that are to go, in the form of `count`, without a value: old ones, and those of no event any more."""
        self._live.clear()  # what is counted next is decoded anew; else there would be more with every minute
        found: list[Entry] = []
        for lane, minutes in self._of_partitions(self._owned()):
            event = known.get(lane.code)
            stands = event is not None and event.born == lane.born
            gone = [minute for minute in minutes.there if minute < minutes.oldest or not stands]
            found += [(TP(self._topic, lane.partition), lane.key(minute), None) for minute in gone]
        return found

    async def remove(self, gone: list[Entry]) -> None:
        """Remove what is outdated, once it was told that it is gone."""
        lanes = self._found()
        for _, key, _ in gone:
            lane, minute = lane_of(key)
            if lane in lanes:
                lanes[lane].there.discard(minute)
                if not lanes[lane].there:
                    del lanes[lane]
            self._live.pop(key, None)
        await put(self._table, [(partition.partition, key, None) for partition, key, _ in gone])

    def entries(self, partition: TP) -> list[Entry]:
        """All entries of a partition, in the form of `count`."""
        if partition.topic != self._topic:
            return []
        mine = self._of_partitions({partition.partition})
        keys = [lane.key(minute) for lane, minutes in mine for minute in minutes.there]
        return [(partition, key, self._table.data[key]) for key in keys]

    def _owned(self) -> set[int]:
        """Partitions that are ours in both topics."""
        return self._app.owned(self._topic) & self._app.owned(self._table.changelog_topic.get_topic_name())

    def _of_partitions(self, partitions: set[int]) -> list[tuple[Lane, Minutes]]:
        return [(lane, minutes) for lane, minutes in self._found().items() if lane.partition in partitions]

    def _found(self) -> dict[Lane, Minutes]:
        if self._lanes is None:
            self._lanes = {}
            for key in self._table.data:
                lane, minute = lane_of(key)
                self._lanes.setdefault(lane, Minutes()).add(minute)
        return self._lanes
