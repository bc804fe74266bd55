"""Publishes on `activity`, `trends` and `newest`, for whoever wants to watch: at intervals, only what changed.

Only the owner of a partition tells its counts. A new owner tells them all once: the last one may have been killed
before it told what it had counted. What no new owner could tell, since no table has it, the last one tells still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeAlias

import faust
from faust.types import TP

from agents.sending import Outgoing, send_all
from app.faustapp import App
from app.settings import Settings
from app.topics import Topic, full_name

INTERVAL = 0.5  # seconds, of the two in which a figure is to be seen (docs/web.md)

Entries: TypeAlias = Iterable[tuple[TP, str, bytes | None]]  # whose partition, key, value; None: it is gone


class Publisher:
    """Holds the newest value of each key of a topic until the next publication."""

    def __init__(self, app: App, settings: Settings, topic: Topic, interval: float | None = None) -> None:
        self._app = app
        self._topic = full_name(topic, settings)
        self._pending: dict[str, tuple[TP, bytes | None]] = {}
        self._sources: list[Callable[[TP], Entries]] = []
        self._owned: set[TP] = set()
        self._gained: set[TP] = set()
        self._telling = asyncio.Lock()
        app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        app.timer(interval or INTERVAL)(self.tell)

    def add(self, entries_of: Callable[[TP], Entries]) -> None:
        """Tell also what this gives of a partition, once it is ours."""
        self._sources.append(entries_of)

    def changed(self, entries: Entries) -> None:
        """Note new values by key."""
        self._pending.update((key, (partition, value)) for partition, key, value in entries)

    async def _on_assigned(self, _app: faust.App, assigned: set[TP], **_: object) -> None:
        self._gained = (self._gained | (assigned - self._owned)) & assigned
        self._owned = set(assigned)

    async def tell(self) -> bool:
        """Tell now what has changed; whether it is told. Raises KafkaError."""
        async with self._telling:
            if self._app.rebalancing or not self._app.may_work.is_set():
                return False  # the tables are being recovered, or a rival tells
            gained, self._gained = self._gained, set()
            told = {key: value for tp in gained for entries in self._sources for _, key, value in entries(tp)}
            told |= {key: value for key, (tp, value) in self._pending.items() if tp in self._owned or not self._sources}
            self._pending.clear()
            await send_all(self._app, [Outgoing(self._topic, key.encode(), value) for key, value in told.items()])
            return True
