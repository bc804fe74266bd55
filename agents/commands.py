"""Event commands: the one writer of each event decides, tells everyone, and answers.

Order: the event to `events`, the table, the answer, then the acknowledgement. A command that is read again after a
kill in between finds its answer in the table, or is decided again from the same state with the same result.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import faust
import msgspec
from faust.types import EventT, StreamT

from agents.batches import Batch, Lost, batches
from agents.sending import Outgoing, bury, send_all
from app.clients.purge import purge_rows
from app.domain.decisions import Answer, Command, Refused, decide
from app.domain.events import Event
from app.domain.records import DeadLetter
from app.settings import Settings
from app.topics import EVENT_COMMANDS, EVENT_RESULTS, EVENTS, FEW, full_name
from tables.event_ledger import Entry, EventLedger

# A normalizer may be writing a batch of the event while its rows are removed: remove again after that.
PURGE_AGAIN_SECONDS = 3.0

_decode = msgspec.json.Decoder(Command).decode


def add_commands(app: faust.App, settings: Settings) -> EventLedger:
    """Give the app the agent that decides on event commands; returns its table."""
    topic = app.topic(full_name(EVENT_COMMANDS, settings), key_type=bytes, value_type=bytes, allow_empty=True)
    ledger = EventLedger(app, FEW)
    decider = _Decider(app, settings, ledger)

    @app.agent(topic, name="commands")
    async def commands(stream: StreamT[bytes]) -> None:
        """Carry out commands one by one."""
        # An entry remembers its last answers only: a manager that is killed often must not fall back behind these.
        async for batch in batches(stream, app, settings, most=1, commit=True):
            with suppress(Lost):
                await decider.handle(batch)

    return ledger


class _Decider:
    def __init__(self, app: faust.App, settings: Settings, ledger: EventLedger) -> None:
        self._app = app
        self._settings = settings
        self._ledger = ledger
        self._events = full_name(EVENTS, settings)
        self._results = full_name(EVENT_RESULTS, settings)

    async def handle(self, batch: Batch) -> None:
        """Carry out the one command of a batch. Raises Lost: its next owner carries it out, or has begun to."""
        (taken,) = batch
        message = taken.message
        try:
            command = _decode(message.value or b"")
        except (msgspec.DecodeError, ValueError) as wrong:
            await self._bury(taken, f"no command: {wrong}")
            return
        if command.action == "refresh":
            answer = await self._refresh(command, message.partition)
        elif message.partition != self._ledger.partition_of(command.code):
            # Deciding here would make two writers of one event: each with a table that the other does not know.
            why = "a command's key must be its event's code"
            await self._bury(taken, why)
            answer = Answer(id=command.id, code=command.code, accepted=False, reason="invalid", message=why)
        else:
            entry = self._ledger.get(command.code)
            answer = entry.answer_to(command.id) or await self._carry_out(command, entry, batch)
        await send_all(self._app, [Outgoing(self._results, command.id.encode(), msgspec.json.encode(answer))])

    async def _bury(self, taken: EventT[bytes], why: str) -> None:
        message = taken.message
        letter = DeadLetter(message.topic, message.partition, message.offset, 0, why, message.value or b"")
        await send_all(self._app, bury([letter], self._settings))

    async def _refresh(self, command: Command, partition: int) -> Answer:
        """Send every event of the partition again, as it stands."""
        events = list(self._ledger.events_of(partition))
        await send_all(self._app, [self._record(event) for event in events])
        return Answer(id=command.id, code=command.code, accepted=True, message=f"{len(events)} events")

    async def _carry_out(self, command: Command, entry: Entry, batch: Batch) -> Answer:
        try:
            begun = entry.purging == command.id  # by a manager that died over it
            event = entry.event if begun else decide(command, entry.event, entry.version)
        except Refused as refused:
            answer = Answer(
                id=command.id,
                code=command.code,
                accepted=False,
                version=entry.event.version if entry.event else None,
                reason=refused.reason,
                message=str(refused),
            )
            await self._ledger.set(command.code, entry.after(entry.event, answer))
            return answer
        assert event is not None  # noqa: S101 -- decide returns an event, and a purge begins with one
        answer = Answer(id=command.id, code=command.code, accepted=True, version=event.version)
        await send_all(self._app, [self._record(event)])
        batch.check()
        if event.status == "purging":
            entry = msgspec.structs.replace(entry, event=event, version=event.version, purging=command.id)
            await self._ledger.set(command.code, entry)
            await self._purge(event, batch)
            event = None
        await self._ledger.set(command.code, entry.after(event, answer))
        return answer

    async def _purge(self, event: Event, batch: Batch) -> None:
        """Rows first, then the list of their buckets, then the event: as long as it is known, its rows can be found."""
        await asyncio.to_thread(purge_rows, self._settings, event.code)
        await asyncio.sleep(PURGE_AGAIN_SECONDS)
        batch.check()  # its next owner may have finished, and someone have created the event anew
        await asyncio.to_thread(purge_rows, self._settings, event.code, and_list=True)
        batch.check()
        await send_all(self._app, [Outgoing(self._events, event.code.encode(), None)])

    def _record(self, event: Event) -> Outgoing:
        return Outgoing(self._events, event.code.encode(), msgspec.json.encode(event))
