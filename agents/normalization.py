"""Normalization: posts of events in, rows of Cassandra out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic, time, time_ns

from faust.types import EventT, StreamT

from agents.batches import batches
from agents.publishing import Publisher
from agents.retracting import Retracting, TakenBack
from agents.sending import bury, send_all
from agents.tenure import Lost
from app.clients.cassandra import Writer
from app.domain.holders import Holders
from app.domain.posts import Malformed
from app.domain.records import DeadLetter, Line, Way, classified_record
from app.domain.rows import Row, Rows
from app.domain.standing import left, yields
from app.faustapp import App
from app.metrics import POST_AGE_SECONDS, ROWS_OF_PURGED, WRITE_SECONDS
from app.settings import Settings
from app.topics import CLASSIFIED, NEWEST, TRENDS, full_name
from tables.activity import ActivityTable
from tables.known_events import KnownEvents
from tables.known_ledger import KnownLedger
from tables.newest import NewestPosts
from tables.trends import TrendsTable

FORGET_SECONDS = 5.0
TRENDS_SECONDS = 2.0  # in which trends are told: they are of whole minutes


def add_normalization(
    app: App, settings: Settings, events: KnownEvents, ledger: KnownLedger, publisher: Publisher, writer: Writer
) -> None:
    """Give the app the agent that normalizes and stores."""
    topic = app.topic(full_name(CLASSIFIED, settings), key_type=bytes, value_type=bytes, allow_empty=True)
    activity = ActivityTable(app, full_name(CLASSIFIED, settings), settings.partitions)
    publisher.add(activity.entries)
    trends = TrendsTable(app, full_name(CLASSIFIED, settings), settings.partitions)
    trending = Publisher(app, settings, TRENDS, TRENDS_SECONDS)
    trending.add(trends.entries)
    newest = NewestPosts(app, full_name(CLASSIFIED, settings))
    shown = Publisher(app, settings, NEWEST)
    retracting = Retracting(app, settings, events, writer, activity, trends, newest, (publisher, trending, shown))

    @app.timer(FORGET_SECONDS)
    async def forget_purged() -> None:
        """Remove the counts and newest posts of events that are no more; what follows was counted before they went."""
        if events.view.complete and app.may_work.is_set() and not app.rebalancing:
            gone = await activity.forget(events.view.items, app.consumer.assignment())
            newest.forget(events.view.items)
            publisher.changed(gone)
            shown.changed(gone)

    @app.timer(FORGET_SECONDS)
    async def forget_old_trends() -> None:
        """Tell that minutes are gone which nobody asks for any more, then remove them."""
        if events.view.complete and app.may_work.is_set() and not app.rebalancing:
            gone = trends.outdated(events.view.items)
            trending.changed(gone)
            if gone and await trending.tell():
                await trends.remove(gone)

    @app.agent(topic, name="normalization")
    async def normalization(stream: StreamT[bytes]) -> None:
        """Store the posts of events, count them, and bury what cannot be stored."""
        async for batch in batches(stream, app, settings):
            await events.view.wait_complete()
            await ledger.view.wait_complete()
            await writer.connected()
            started = monotonic()
            rows, taken, dead = await _rows(batch, events)
            await retracting.note(taken)
            rows = await _new(rows, writer, activity, ledger.holders)
            stamp = time_ns() // 1000
            rows = await retracting.treat(rows)
            kept = {row.key: row for _, row in rows if row.fate != "removed"}
            refused = await writer.write(list(kept.values()), stamp)
            dead += [_dead(row, why) for row, why in refused]
            await send_all(app, bury(dead, settings))
            never = {id(row) for row, _ in refused}
            with suppress(Lost):
                await batch.confirm()
                stored = [(place, row) for place, row in rows if id(row) not in never]
                counted, trended = await asyncio.gather(
                    activity.count(stored), trends.count(one for one in stored if one[1].fate != "removed")
                )
                publisher.changed(counted.entries)
                trending.changed(trended)
                shown.changed(newest.note(counted.rows, counted.totals))
                await retracting.carry_out(taken, batch.confirm)
            WRITE_SECONDS.observe(monotonic() - started)
            _measure_age(row for _, row in rows)


async def _new(
    rows: list[tuple[int, Row]], writer: Writer, activity: ActivityTable, holders: Holders
) -> list[tuple[int, Row]]:
    """The rows without those that hearing the past, the live path after it, or a second tracker would write once more.

    Only what is in question is looked up: a live post is while a rematch has been where it was heard, where it is of a
    time of which an import or a search has brought posts, and around a hand-over between trackers.
    """
    asked = [
        row
        for place, row in rows
        if yields(row)
        or activity.brought(place, row)
        or holders.in_question(row.line.source, row.line.generation, row.line.received_at)
    ]
    return left(rows, await writer.standing(asked)) if asked else rows


async def _rows(
    batch: Iterable[EventT[bytes]], events: KnownEvents
) -> tuple[list[tuple[int, Row]], TakenBack, list[DeadLetter]]:
    """Rows by partition, what sources take back, and what cannot be read."""
    back = TakenBack()
    made = Rows()
    rows: list[tuple[int, Row]] = []
    dead: list[DeadLetter] = []
    for taken in batch:
        message = taken.message
        if back.take(taken):
            continue
        try:
            record = classified_record(message.key, message.value, dict(message.headers or ()))
        except ValueError as wrong:
            dead.append(
                DeadLetter(message.topic, message.partition, message.offset, 0, str(wrong), message.value or b"")
            )
            continue
        event = await events.at_least(record.code, record.version)
        if event is None:
            ROWS_OF_PURGED.inc(len(record.posts))
            continue
        for number, (line, post) in enumerate(zip(record.lines, record.posts, strict=True)):
            try:
                rows.append((message.partition, made.row(event, record.version, line, post, record.rematch)))
            except Malformed as malformed:
                why, way = str(malformed), _way(line, record.code)
                dead.append(DeadLetter(message.topic, message.partition, message.offset, number, why, post, way))
    return rows, back, dead + back.dead


def _dead(row: Row, why: str) -> DeadLetter:
    line, way = row.line, _way(row.line, row.code)
    place = f"cassandra/{row.code}", line.partition, line.offset, line.line
    return DeadLetter(*place, why, row.post.raw, way, cause="not storable")


def _way(line: Line, code: str) -> Way:
    return Way(line.source, line.origin, line.received_at, line.as_of, code)


def _measure_age(rows: Iterable[Row]) -> None:
    now = time()
    for received_at in {row.line.received_at for row in rows if not yields(row)}:
        POST_AGE_SECONDS.observe(max(0.0, now - received_at / 1000))
