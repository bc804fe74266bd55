"""The only place that acknowledges. An offset moves after the batch that holds it was dealt with, and in order.

Faust's plain loops and `take` acknowledge when the agent fails, and lose what it held; this way lost nothing through
kill -9, SIGTERM, rebalances and errors of the sink (docs/delivery.md):

- `noack` on the stream and `noack_take`: nothing is acknowledged but here;
- the agent's body retries inside the loop; what leaves it ends the process (CrashingSupervisor) with no ack;
- an agent asks for its first batch at once and waits for what it needs (first of all `App.may_work`) inside the loop:
  what arrives for a stream that nobody iterates yet is dropped by Faust without a word;
- one batch after the other, so that no later offset is acknowledged before an earlier one;
- only records that follow on those before (`continuity`);
- nothing that was taken before a rebalance: whoever has its partition now reads it anew, and counting it here as well
  would put an old count over a newer one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from faust.types import EventT, StreamT

from agents.continuity import Continuity
from agents.tenure import Tenure
from app.faustapp import App
from app.settings import Settings


class Batch(list[EventT[bytes]]):
    """Records taken together, of one generation of the group."""

    def __init__(self, taken: Sequence[EventT[bytes]], tenure: Tenure) -> None:
        self._tenure = tenure
        self._generation = tenure.generation
        super().__init__(
            event
            for event in taken
            if event.message.generation_id == self._generation and tenure.stands(self._generation)
        )

    @property
    def lost(self) -> bool:
        """Whether a rebalance has begun since: then it is neither counted nor acknowledged, but read anew."""
        return not self._tenure.stands(self._generation)

    async def confirm(self) -> None:
        """Return when it is sure to be ours still. Raises Lost, KafkaError."""
        await self._tenure.confirm(self._generation)


async def batches(
    stream: StreamT[bytes], app: App, settings: Settings, *, most: int | None = None, commit: bool = False
) -> AsyncIterator[Batch]:
    """Batches of a stream, each acknowledged when the next one is asked for. Raises OffsetGap.

    Acknowledged offsets are committed every second, or at once where `commit` says so.
    """
    stream = stream.noack()
    tenure = Tenure(app, settings)
    continuity = Continuity(app, settings, stream.channel.topics)
    watching = asyncio.create_task(continuity.watch())
    try:
        async for taken in stream.noack_take(most or settings.batch_records, within=settings.batch_within):
            await app.may_work.wait()
            if watching.done():
                await watching
            batch = Batch(await continuity.admit(Batch(taken, tenure)), tenure)
            if not batch:
                continue
            app.in_hand += 1
            yield batch
            for event in batch:
                if not batch.lost:
                    await stream.ack(event)
            if commit and not batch.lost:
                await app.consumer.commit()
            app.in_hand -= 1
    finally:
        watching.cancel()
        continuity.close()
        tenure.close()
