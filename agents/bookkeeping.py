"""Bookkeeping: the ledger of what was heard, from `coverage` to Cassandra, for those who have only the rows later."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from faust.types import EventT, StreamT

from agents.batches import batches
from agents.sending import bury, send_all
from app.clients.cassandra import Writer
from app.domain.coverage import Interval, entry
from app.domain.records import DeadLetter
from app.faustapp import App
from app.settings import Settings
from app.topics import COVERAGE, full_name


def add_bookkeeping(app: App, settings: Settings, writer: Writer) -> None:
    """Give the app the agent that stores the ledger."""
    topic = app.topic(full_name(COVERAGE, settings), key_type=bytes, value_type=bytes, allow_empty=True)

    @app.agent(topic, name="bookkeeping")
    async def bookkeeping(stream: StreamT[bytes]) -> None:
        """Store each interval as it stands now."""
        async for batch in batches(stream, app, settings):
            await writer.connected()
            intervals, dead = _intervals(batch)
            await writer.write_coverage(intervals)
            await send_all(app, bury(dead, settings))


def _intervals(batch: Iterable[EventT[bytes]]) -> tuple[list[Interval], list[DeadLetter]]:
    """The newest state of each interval: of those that follow each other only the last is written."""
    newest: dict[str, Interval] = {}
    dead = []
    for taken in batch:
        message = taken.message
        try:
            one = entry(message.value) if message.value else None
        except msgspec.DecodeError as wrong:
            why = f"no entry of the ledger: {wrong}"
            dead.append(DeadLetter(message.topic, message.partition, message.offset, 0, why, message.value))
            continue
        if isinstance(one, Interval):
            newest[one.key] = one
    return list(newest.values()), dead
