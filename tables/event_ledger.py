"""The manager's table of events: for each code the event, its last version, and the answers given last.

A command that arrives twice (its sender tried again, or the manager died before it acknowledged) gets the first answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import faust
import msgspec
from aiokafka.partitioner import murmur2
from msgspec import Struct
from msgspec.structs import replace

from app.domain.decisions import Answer
from app.domain.events import Change, Event
from app.roles import EVENT_LEDGER
from tables.changelog import put, table

ANSWERS = 20


class Entry(Struct, frozen=True):
    """What is known of a code; `event` is None once it was purged, but versions go on from the last."""

    event: Event | None = None
    version: int = 0
    answers: tuple[Answer, ...] = ()
    purging: tuple[str, ...] = ()  # ids of the commands that wait for the end of its purge

    def answer_to(self, command_id: str) -> Answer | None:
        """The answer that a command got before."""
        return next((answer for answer in self.answers if answer.id == command_id), None)

    def caught_up(self, told: Event | None) -> Entry:
        """The entry with the event as it was told, where that is newer: its writer died, or was frozen, in between."""
        return self if told is None or told.version <= self.version else replace(self, event=told, version=told.version)

    def change_by(self, command_id: str) -> Change | None:
        """The change that a command has made, though its answer is not known."""
        history = self.event.history if self.event else ()
        return next((change for change in reversed(history) if change.command == command_id), None)

    def after(self, event: Event | None, answer: Answer) -> Entry:
        """The entry once a command was carried out."""
        version = event.version if event else self.version
        return replace(self, event=event, version=version, answers=self._with([answer]))

    def being_purged(self, event: Event, command_id: str) -> Entry:
        """The entry while the rows of the event are removed; the command is answered at the end."""
        return replace(self, event=event, version=event.version, purging=(*self.purging, command_id))

    def purged(self, answers: Sequence[Answer]) -> Entry:
        """The entry once they are gone."""
        return replace(self, event=None, purging=(), answers=self._with(answers))

    def _with(self, answers: Sequence[Answer]) -> tuple[Answer, ...]:
        return (*self.answers, *answers)[-ANSWERS:]


_decode = msgspec.json.Decoder(Entry).decode


class EventLedger:
    """Entries by code; each is written by the agent that owns its partition alone."""

    def __init__(self, app: faust.App, partitions: int) -> None:
        self._table = table(app, EVENT_LEDGER, partitions)
        self._partitions = partitions

    def get(self, code: str) -> Entry:
        """What is known of a code."""
        value = self._table.data.get(code)
        return _decode(value) if value else Entry()

    async def set(self, code: str, entry: Entry) -> None:
        """Write an entry; durable when this returns."""
        await put(self._table, [(self.partition_of(code), code, msgspec.json.encode(entry))])

    def events_of(self, partition: int) -> Iterator[Event]:
        """Events whose commands arrive on a partition."""
        for code in self.codes_of(partition):
            if (event := self.get(code).event) is not None:
                yield event

    def codes_of(self, partition: int) -> list[str]:
        """Codes of which anything is known, purged ones too."""
        return [code for code in list(self._table.data) if self.partition_of(code) == partition]

    def partition_of(self, code: str) -> int:
        """Partition of `event_commands` to which a code belongs, as Kafka's default partitioner has it."""
        return int((murmur2(code.encode()) & 0x7FFFFFFF) % self._partitions)
