"""Keeps `events` and the ledger from falling back: what was told last must be what is known.

A manager that is frozen at the very moment at which it writes, when it has just been told that its partition is its
own, writes when it thaws, above what its successor has told or noted since. Nobody can fence that off but a
transaction. So the owner of a partition looks at what was told, and tells again what differs; where the table has
fallen back, it is brought to what was told.
"""

from __future__ import annotations

from contextlib import suppress

from agents.sending import Outgoing, event_record, send_all
from agents.tenure import Lost, Tenure
from app.domain.events import Event
from app.faustapp import App
from app.settings import Settings
from app.topics import EVENT_COMMANDS, EVENTS, full_name
from tables.event_ledger import Entry, EventLedger
from tables.known_events import KnownEvents

LOOK_SECONDS = 2.0  # a view follows within 0.1 s: what differs at two looks is not merely on its way


def add_retelling(app: App, settings: Settings, events: KnownEvents, ledger: EventLedger) -> None:
    """Give the app its timer."""
    tenure = Tenure(app, settings)
    topic = full_name(EVENT_COMMANDS, settings)
    before: dict[str, tuple[Event | None, Entry]] = {}

    @app.timer(LOOK_SECONDS)
    async def retelling() -> None:
        """Look at the events that this process owns."""
        if not (app.may_work.is_set() and events.view.complete) or app.rebalancing:
            return
        codes = [code for number in app.owned(topic) for code in ledger.codes_of(number)]
        differing = {
            code: (told, entry)
            for code in codes
            if (told := events.view.items.get(code)) != (entry := ledger.get(code)).event
        }
        persistent = [code for code, pair in differing.items() if before.get(code) == pair]
        before.clear()
        before.update(differing)
        with suppress(Lost):
            for code in persistent:
                await tenure.confirm(tenure.generation)
                if app.rebalancing:
                    return
                await _mend(app, settings, ledger, code, *differing[code])


async def _mend(app: App, settings: Settings, ledger: EventLedger, code: str, told: Event | None, entry: Entry) -> None:
    if ledger.get(code) != entry:
        return  # it moves on
    newer = entry.caught_up(told)
    if newer is not entry:
        await ledger.set(code, newer)
    elif entry.event is not None:
        await send_all(app, [event_record(entry.event, settings)])
    else:
        await send_all(app, [Outgoing(full_name(EVENTS, settings), code.encode(), None)])
