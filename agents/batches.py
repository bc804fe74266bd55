"""The only place that acknowledges. An offset moves after the batch that holds it was dealt with, and in order.

Faust's plain loops and `take` acknowledge when the agent fails, and lose what it held; this way lost nothing through
kill -9, SIGTERM, rebalances and errors of the sink (docs/delivery.md):

- `noack` on the stream and `noack_take`: nothing is acknowledged but here;
- the agent's body retries inside the loop; what leaves it ends the process (CrashingSupervisor) with no ack;
- an agent asks for its first batch at once and waits for what it needs inside the loop: what arrives for a stream
  that nobody iterates yet is dropped by Faust without a word;
- one batch after the other, so that no later offset is acknowledged before an earlier one;
- only records that follow on those before (`continuity`);
- nothing that was taken before a rebalance: whoever has its partition now reads it anew, and counting it here as well
  would put an old count over a newer one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import faust
from faust.types import TP, EventT, StreamT

from agents.continuity import Continuity
from app.settings import Settings


class Lost(Exception):
    """The records in hand are another worker's by now."""


class Batch(list[EventT[bytes]]):
    """Records taken together, of one generation of the group."""

    def __init__(self, taken: Sequence[EventT[bytes]], tenure: _Tenure) -> None:
        super().__init__(taken)
        self._tenure = tenure
        self._generation = tenure.generation

    @property
    def lost(self) -> bool:
        """Whether a rebalance has begun since: then it is neither counted nor acknowledged, but read anew."""
        return not self._tenure.held or self._tenure.generation != self._generation

    def check(self) -> None:
        """Raise Lost if it is."""
        if self.lost:
            raise Lost


class _Tenure:
    """Whether this process holds the partitions that were assigned to it last."""

    def __init__(self, app: faust.App) -> None:
        self._app = app
        self.held = True
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        app.on_partitions_assigned.connect(self._on_assigned, weak=False)

    def close(self) -> None:
        self._app.on_partitions_revoked.disconnect(self._on_revoked)
        self._app.on_partitions_assigned.disconnect(self._on_assigned)

    @property
    def generation(self) -> int:
        return int(self._app.consumer_generation_id)

    async def _on_revoked(self, _app: faust.App, _revoked: set[TP], **_: object) -> None:
        self.held = False

    async def _on_assigned(self, _app: faust.App, _assigned: set[TP], **_: object) -> None:
        self.held = True

    def batch(self, taken: Sequence[EventT[bytes]]) -> Batch:
        """Of the records that were taken, those that are still ours."""
        ours = [event for event in taken if event.message.generation_id == self.generation]
        return Batch(ours if self.held else [], self)


async def batches(
    stream: StreamT[bytes], app: faust.App, settings: Settings, *, most: int | None = None, commit: bool = False
) -> AsyncIterator[Batch]:
    """Batches of a stream, each acknowledged when the next one is asked for. Raises OffsetGap.

    Acknowledged offsets are committed every second, or at once where `commit` says so.
    """
    stream = stream.noack()
    tenure = _Tenure(app)
    continuity = Continuity(app, settings, stream.channel.topics)
    watching = asyncio.create_task(continuity.watch())
    try:
        async for taken in stream.noack_take(most or settings.batch_records, within=settings.batch_within):
            if watching.done():
                await watching
            batch = tenure.batch(await continuity.admit(tenure.batch(taken)))
            if not batch:
                continue
            continuity.busy = True
            yield batch
            for event in batch:
                if not batch.lost:
                    await stream.ack(event)
            if commit and not batch.lost:
                await app.consumer.commit()
            continuity.busy = False
    finally:
        watching.cancel()
        continuity.close()
        tenure.close()
