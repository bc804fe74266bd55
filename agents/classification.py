"""Classification: raw records in, the posts of each active event out."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from faust.types import EventT, StreamT

from agents.batches import batches
from agents.publishing import Publisher
from agents.retracting import records as records_of
from agents.sending import Outgoing, bury, send_all
from agents.tenure import Lost
from app.domain.classify import Bundle, classify
from app.domain.records import RawRecord, classified_headers, raw_record
from app.faustapp import App
from app.settings import Settings
from app.topics import CLASSIFIED, RAW, full_name
from tables.intake import IntakeTable
from tables.known_events import KnownEvents

# The more raw records are taken at once, the fuller are the records that everything after this pays for.
RAW_FACTOR = 2


def add_classification(app: App, settings: Settings, events: KnownEvents, publisher: Publisher) -> None:
    """Give the app the agent that classifies."""
    topic = app.topic(full_name(RAW, settings), key_type=bytes, value_type=bytes, allow_empty=True)
    intake = IntakeTable(app, full_name(RAW, settings), settings.partitions)
    publisher.add(intake.entries)
    classified = full_name(CLASSIFIED, settings)

    @app.agent(topic, name="classification")
    async def classification(stream: StreamT[bytes]) -> None:
        """Read raw posts, send each to the events that it belongs to."""
        async for batch in batches(stream, app, settings, most=RAW_FACTOR * settings.batch_records):
            await events.view.wait_complete()
            records = list(_records(batch))
            found = classify(records, await events.matcher_for(records), settings.partitions)
            outgoing = [*_outgoing(found.bundles, classified), *records_of(found.retractions, settings)]
            await send_all(app, [*outgoing, *bury(found.dead, settings)])
            with suppress(Lost):
                await batch.confirm()
                publisher.changed(await intake.count(found.intake))


def _records(batch: Iterable[EventT[bytes]]) -> Iterable[RawRecord]:
    for event in batch:
        message = event.message
        yield raw_record(
            message.topic,
            message.partition,
            message.offset,
            message.value,
            dict(message.headers or ()),
            int((message.timestamp or 0) * 1000),
        )


def _outgoing(bundles: Iterable[Bundle], topic: str) -> Iterable[Outgoing]:
    for bundle in bundles:
        headers = classified_headers(bundle.event.version, bundle.lines)
        yield Outgoing(topic, bundle.event.code.encode(), b"\n".join(bundle.posts), headers, bundle.partition)
