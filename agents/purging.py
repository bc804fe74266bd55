"""Purges: the rows of an event go, then the list of their buckets, then the event itself.

Beside the agent of commands, since it may take long and Cassandra may be away: other events must not wait. The ledger
says which events are being purged and by whose commands, so the next owner of a partition goes on where one died.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from agents.sending import Outgoing, result_record, send_all
from agents.tenure import Lost, Tenure
from app.clients.purge import purge_rows
from app.domain.decisions import Answer
from app.domain.events import Event
from app.faustapp import App
from app.settings import Settings
from app.topics import EVENT_COMMANDS, EVENTS, full_name
from tables.event_ledger import Entry, EventLedger

LOOK_SECONDS = 0.5
# A normalizer may be writing a batch of the event while its rows are removed: remove again after that.
PURGE_AGAIN_SECONDS = 3.0


def add_purging(app: App, settings: Settings, ledger: EventLedger) -> None:
    """Give the app its task."""
    tenure = Tenure(app, settings)
    topic = full_name(EVENT_COMMANDS, settings)

    @app.task
    async def purging() -> None:
        """Purge what is to be purged, one event after the other."""
        await app.may_work.wait()
        while not app.should_stop:
            for event in _due(app, topic, ledger):
                with suppress(Lost):
                    await _purge(app, settings, ledger, tenure, event)
            await asyncio.sleep(LOOK_SECONDS)


def _due(app: App, topic: str, ledger: EventLedger) -> list[Event]:
    if app.rebalancing:
        return []  # the ledger is being recovered
    return [event for number in app.owned(topic) for event in ledger.events_of(number) if event.status == "purging"]


async def _purge(app: App, settings: Settings, ledger: EventLedger, tenure: Tenure, event: Event) -> None:
    """As long as the event is known, its rows can be found. Raises Lost: the next owner goes on."""
    generation = tenure.generation

    async def sure() -> Entry:
        """Its next owner may have finished, and someone have created the event anew."""
        await tenure.confirm(generation)
        entry = ledger.get(event.code)
        now = entry.event
        if app.rebalancing or now is None or now.status != "purging" or now.born != event.born:
            raise Lost
        return entry

    for last in (False, True):
        await sure()
        await asyncio.to_thread(purge_rows, settings, event.code, time.time_ns() // 1000, and_list=last)
        if not last:
            await asyncio.sleep(PURGE_AGAIN_SECONDS)
    await sure()
    await send_all(app, [Outgoing(full_name(EVENTS, settings), event.code.encode(), None)])
    entry = await sure()
    answers = [Answer(id=asked, code=event.code, accepted=True, version=entry.version) for asked in entry.purging]
    # Before the table has it: what is answered twice was answered.
    await send_all(app, [result_record(answer, settings) for answer in answers])
    entry = await sure()
    await ledger.set(event.code, entry.purged(answers))
