"""Which process notifies: of those that could, the owner of the first partition of `event_commands`."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from faust.types import TP

from agents.sending import Outgoing, send_all
from agents.tenure import Tenure
from app.domain.notices import Entry
from app.faustapp import App
from app.settings import Settings
from app.topics import EVENT_COMMANDS, MUTES, NOTICES, full_name


class Duty:
    """The duty to notify, and writing as the one who has it."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        self._tenure = Tenure(app, settings)
        self._mark = TP(full_name(EVENT_COMMANDS, settings), 0)
        self._notices = full_name(NOTICES, settings)
        self._mutes = full_name(MUTES, settings)

    @property
    def generation(self) -> int | None:
        """Of the group, while this process has the duty; else None."""
        held = (
            self._app.may_work.is_set() and not self._app.rebalancing and self._mark in self._app.consumer.assignment()
        )
        return self._tenure.generation if held else None

    async def write(self, generation: int, entries: Iterable[Entry]) -> None:
        """Write entries of `notices`, in order. Raises Lost where the duty is another's by now, KafkaError."""
        records = [Outgoing(self._notices, one.key.encode(), msgspec.json.encode(one)) for one in entries]
        if records:
            await self._tenure.confirm(generation)
            await send_all(self._app, records)

    async def forget(self, generation: int, notices: Iterable[str], mutes: Iterable[str]) -> None:
        """Remove entries by their keys. Raises Lost, KafkaError."""
        records = [Outgoing(self._notices, key.encode(), None) for key in notices]
        records += [Outgoing(self._mutes, key.encode(), None) for key in mutes]
        if records:
            await self._tenure.confirm(generation)
            await send_all(self._app, records)
