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
from app.faustapp import App
from app.settings import Settings
from app.topics import EVENT_COMMANDS, EVENTS, full_name
from tables.event_ledger import EventLedger

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
            for code in _due(app, topic, ledger):
                with suppress(Lost):
                    await _purge(app, settings, ledger, tenure, code)
            await asyncio.sleep(LOOK_SECONDS)


def _due(app: App, topic: str, ledger: EventLedger) -> list[str]:
    owned = [tp.partition for tp in app.consumer.assignment() if tp.topic == topic]
    return [event.code for number in owned for event in ledger.events_of(number) if event.status == "purging"]


async def _purge(app: App, settings: Settings, ledger: EventLedger, tenure: Tenure, code: str) -> None:
    """As long as the event is known, its rows can be found. Raises Lost: the next owner goes on."""
    generation = tenure.generation
    for last in (False, True):
        await tenure.confirm(generation)  # its next owner may have finished, and someone have created the event anew
        await asyncio.to_thread(purge_rows, settings, code, time.time_ns() // 1000, and_list=last)
        if not last:
            await asyncio.sleep(PURGE_AGAIN_SECONDS)
    await tenure.confirm(generation)
    await send_all(app, [Outgoing(full_name(EVENTS, settings), code.encode(), None)])
    await tenure.confirm(generation)
    entry = ledger.get(code)
    answers = [Answer(id=asked, code=code, accepted=True, version=entry.version) for asked in entry.purging]
    await ledger.set(code, entry.purged(answers))
    await send_all(app, [result_record(answer, settings) for answer in answers])
