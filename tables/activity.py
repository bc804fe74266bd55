"""The `activity` table: counts of each event by partition of `classified_tweets`, exact through every restart."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import NamedTuple

import faust
import msgspec
from faust.types import TP

from app.domain.activity import Activity
from app.domain.rows import Row
from app.domain.trends import Lane, Word
from app.roles import EVENT_ACTIVITY
from tables.changelog import put, table

_decode = msgspec.json.Decoder(Activity).decode


class Counted(NamedTuple):
    """What counting has changed: entries as partition, key and value; the rows that were new; posts by key."""

    entries: list[tuple[TP, str, bytes]]
    rows: list[tuple[int, Row]]
    totals: dict[str, int]


class ActivityTable:
    """Counts by event and partition. Entries in use are kept decoded until their partition goes elsewhere."""

    def __init__(self, app: faust.App, topic: str, partitions: int) -> None:
        self._table = table(app, EVENT_ACTIVITY, partitions)
        self._topic = topic
        self._live: dict[str, Activity] = {}
        app.on_partitions_revoked.connect(self._forget, weak=False)

    async def _forget(self, _app: faust.App, revoked: set[TP], **_: object) -> None:
        self._live.clear()

    async def count(self, rows: Iterable[tuple[int, Row]]) -> Counted:
        """Count rows, each with its partition; those that were counted before change nothing."""
        touched: dict[str, int] = {}
        new: list[tuple[int, Row]] = []
        for partition, row in rows:
            key, activity = self._entry(partition, row)
            if row.born == activity.born and activity.count(row.seen()):
                touched[key] = partition
                new.append((partition, row))
        totals = {key: self._live[key].collected for key in touched}
        return Counted(await self._tell(touched), new, totals)

    async def retract(self, words: Iterable[Word]) -> tuple[list[tuple[TP, str, bytes]], dict[Lane, int]]:
        """Take back what was counted of stored posts, of each partition in the order of the words, once for each word.

        Returns what has changed, in the form of `count`, and how many posts were collected, now as before.
        """
        touched: dict[str, int] = {}
        collected: dict[Lane, int] = {}
        for lane, at, posts in words:
            key, activity = self._living(lane.partition, lane.code, lane.born)
            collected[lane] = activity.collected
            if activity.born == lane.born and activity.retract(at, posts):
                touched[key] = lane.partition
        return await self._tell(touched), collected

    async def _tell(self, touched: dict[str, int]) -> list[tuple[TP, str, bytes]]:
        """Write entries, by key with their partitions."""
        changed = [(partition, key, msgspec.json.encode(self._live[key])) for key, partition in touched.items()]
        await put(self._table, changed)
        return [(TP(self._topic, partition), key, value) for partition, key, value in changed]

    def brought(self, partition: int, row: Row) -> bool:
        """Whether a rematch, search or import may have stored the post of a row before it was heard the usual way."""
        _, activity = self._entry(partition, row)
        line = row.line
        return row.born == activity.born and (
            activity.brought(row.post.created_ms, line.received_at) or activity.rematched(line.partition, line.position)
        )

    def _entry(self, partition: int, row: Row) -> tuple[str, Activity]:
        return self._living(partition, row.code, row.born)

    def _living(self, partition: int, code: str, born: int) -> tuple[str, Activity]:
        """Key and counts of the newest life of an event."""
        key = f"{code}|{partition}"
        activity = self._live.get(key)
        if activity is None:
            value = self._table.data.get(key)
            activity = self._live[key] = _decode(value) if value else Activity(born=born)
        if activity.born < born:
            activity = self._live[key] = Activity(born=born)
        return key, activity

    async def forget(self, known: Container[str], owned: Container[TP]) -> list[tuple[TP, str, None]]:
        """Remove from these partitions the entries of all other events; in the form of `count`, without a value."""
        entries = [(*key.rpartition("|")[::2], key) for key in self._table.data]
        removed = [
            (int(number), key)
            for code, number, key in entries
            if code not in known and TP(self._topic, int(number)) in owned
        ]
        for _, key in removed:
            self._live.pop(key, None)
        await put(self._table, [(partition, key, None) for partition, key in removed])
        return [(TP(self._topic, partition), key, None) for partition, key in removed]

    def entries(self, partition: TP) -> list[tuple[TP, str, bytes]]:
        """All entries of a partition, in the form of `count`."""
        if partition.topic != self._topic:
            return []
        ending = f"|{partition.partition}"
        return [(partition, key, value) for key, value in self._table.data.items() if key.endswith(ending)]
