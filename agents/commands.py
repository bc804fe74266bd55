"""Event commands: the one writer of each event decides, tells everyone, and answers.

Order: the event to `events`, the table, the answer, then the acknowledgement. A command that is read again after a
kill in between finds its answer in the table, or itself in the event's history. Before each of these writes the group's
coordinator is asked whether the partition is still ours (`tenure`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
from faust.types import EventT, StreamT

from agents.batches import Batch, batches
from agents.sending import bury, event_record, result_record, send_all
from agents.tenure import Lost
from app.domain.decisions import Answer, Command, Refused, decide
from app.domain.events import Event
from app.domain.records import DeadLetter
from app.faustapp import App
from app.settings import Settings
from app.topics import EVENT_COMMANDS, FEW, full_name
from tables.event_ledger import Entry, EventLedger
from tables.known_events import KnownEvents

_decode = msgspec.json.Decoder(Command).decode


def add_commands(app: App, settings: Settings, events: KnownEvents) -> EventLedger:
    """Give the app the agent that decides on event commands; returns its table."""
    topic = app.topic(full_name(EVENT_COMMANDS, settings), key_type=bytes, value_type=bytes, allow_empty=True)
    ledger = EventLedger(app, FEW)
    decider = _Decider(app, settings, events, ledger)

    @app.agent(topic, name="commands")
    async def commands(stream: StreamT[bytes]) -> None:
        """Carry out commands one by one."""
        # An entry remembers its last answers only: a manager that is killed often must not fall back behind these.
        async for batch in batches(stream, app, settings, most=1, commit=True):
            with suppress(Lost):
                await decider.handle(batch)

    return ledger


class _Decider:
    def __init__(self, app: App, settings: Settings, events: KnownEvents, ledger: EventLedger) -> None:
        self._app = app
        self._settings = settings
        self._events = events
        self._ledger = ledger

    async def handle(self, batch: Batch) -> None:
        """Carry out the one command of a batch. Raises Lost: its next owner carries it out, or has begun to."""
        (taken,) = batch
        message = taken.message
        try:
            command = _decode(message.value or b"")
        except (msgspec.DecodeError, ValueError) as wrong:
            await self._bury(taken, f"no command: {wrong}")
            return
        answer: Answer | None
        if command.action == "refresh":
            answer = await self._refresh(command, message.partition, batch)
        elif message.partition != self._ledger.partition_of(command.code):
            # Deciding here would make two writers of one event: each with a table that the other does not know.
            why = "a command's key must be its event's code"
            await self._bury(taken, why)
            answer = Answer(id=command.id, code=command.code, accepted=False, reason="invalid", message=why)
        else:
            await self._events.view.wait_complete()
            entry = self._entry(command.code)
            answer = entry.answer_to(command.id) or await self._carry_out(command, entry, batch)
        if answer is not None:
            await send_all(self._app, [result_record(answer, self._settings)])

    async def _bury(self, taken: EventT[bytes], why: str) -> None:
        message = taken.message
        place = message.topic, message.partition, message.offset, 0
        letter = DeadLetter(*place, why, message.value or b"", cause="no command")
        await send_all(self._app, bury([letter], self._settings))

    async def _refresh(self, command: Command, partition: int, batch: Batch) -> Answer:
        """Send every event of the partition again, as it stands."""
        await batch.confirm()
        events = list(self._ledger.events_of(partition))
        await send_all(self._app, [event_record(event, self._settings) for event in events])
        return Answer(id=command.id, code=command.code, accepted=True, message=f"{len(events)} events")

    async def _carry_out(self, command: Command, entry: Entry, batch: Batch) -> Answer | None:
        """The answer; None where it is given later, when the rows of a purged event are gone."""
        if command.id in entry.purging:
            return None
        if (done := entry.change_by(command.id)) and entry.event:
            return await self._settle(command, entry.event, done.version, batch)
        try:
            await self._check_in_time(command)
            event = decide(command, entry.event, entry.version)
        except Refused as refused:
            answer = Answer(
                id=command.id,
                code=command.code,
                accepted=False,
                version=entry.event.version if entry.event else None,
                reason=refused.reason,
                message=str(refused),
            )
            await self._keep(command.code, lambda entry: entry.after(entry.event, answer), batch)
            return answer
        await batch.confirm()
        await send_all(self._app, [event_record(event, self._settings)])
        return await self._settle(command, event, event.version, batch)

    async def _settle(self, command: Command, event: Event, version: int, batch: Batch) -> Answer | None:
        """Note what was told. A version of its own: since then others may have changed the event."""
        if command.action == "purge":
            await self._keep(command.code, lambda entry: entry.being_purged(event, command.id), batch)
            return None
        answer = Answer(id=command.id, code=command.code, accepted=True, version=version)
        await self._keep(command.code, lambda entry: entry.after(event, answer), batch)
        return answer

    def _entry(self, code: str) -> Entry:
        return self._ledger.get(code).caught_up(self._events.view.items.get(code))

    async def _keep(self, code: str, change: Callable[[Entry], Entry], batch: Batch) -> None:
        """Change the entry as it stands now: meanwhile a purge may have come to its end."""
        await batch.confirm()
        await self._ledger.set(code, change(self._entry(code)))

    async def _check_in_time(self, command: Command) -> None:
        """Raise Refused where its sender waits no longer, or posts of a new bucket rule's time may be stored already.

        The latter not if the rule was told: by a manager that died before its table had it.
        """
        if command.late(datetime.now(UTC)):
            raise Refused("late", "it came too late: whoever sent it does not wait any more")
        rule = command.rule
        if rule is None or rule.is_ahead(int(datetime.now(UTC).timestamp() * 1000)):
            return
        await self._events.view.catch_up()
        told = self._events.view.items.get(command.code)
        if told is None or rule not in told.buckets:
            raise Refused("invalid", "a bucket rule must begin when every process can know of it")
