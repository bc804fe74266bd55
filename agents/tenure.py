"""Whether this process holds the partitions that were assigned to it last, and how to be sure of it.

Faust tells of a rebalance when it has noticed it. A process that was frozen, or cut off from Kafka, for longer than its
session works on for a second or more without knowing; a write of that time would stand above those of its successor
(seen here: a thawed manager took back 55 accepted edits). So before such a write the group's coordinator is asked.
"""

from __future__ import annotations

import asyncio
from time import monotonic

import faust
from faust.types import TP

from app.settings import Settings

ASK_AGAIN_SECONDS = 0.2


class Lost(Exception):
    """What is in hand is another process's by now."""


class Tenure:
    """Follows the assignments of this process."""

    def __init__(self, app: faust.App, settings: Settings) -> None:
        self._app = app
        # An answer that took longer may be older than the end of the session: it was read after a thaw.
        self._fresh_seconds = settings.session_timeout / 2
        self._held = True
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        app.on_partitions_assigned.connect(self._on_assigned, weak=False)

    def close(self) -> None:
        """Stop following."""
        self._app.on_partitions_revoked.disconnect(self._on_revoked)
        self._app.on_partitions_assigned.disconnect(self._on_assigned)

    @property
    def generation(self) -> int:
        """Of the consumer group, as Faust knows it."""
        return int(self._app.consumer_generation_id)

    def stands(self, generation: int) -> bool:
        """Whether no rebalance is known to have begun since."""
        return self._held and self.generation == generation

    async def confirm(self, generation: int) -> None:
        """Return when the coordinator has just said that this generation stands. Raises Lost, KafkaError.

        While Kafka is away nobody can take over, and nobody can say so: it is asked again.
        """
        while self.stands(generation):
            asked = monotonic()
            if await self._heartbeat() and monotonic() - asked < self._fresh_seconds and self.stands(generation):
                return
            await asyncio.sleep(ASK_AGAIN_SECONDS)
        raise Lost

    async def _heartbeat(self) -> bool:
        """One heartbeat, beside those that aiokafka sends anyway; Faust's consumer lives on a thread of its own."""
        thread = self._app.consumer._thread
        return bool(await thread.call_thread(thread._consumer._coordinator._do_heartbeat))

    async def _on_revoked(self, _app: faust.App, _revoked: set[TP], **_: object) -> None:
        self._held = False

    async def _on_assigned(self, _app: faust.App, _assigned: set[TP], **_: object) -> None:
        self._held = True
