"""Sees to it that an agent gets every record: no offset is passed over between what it had and what it gets.

Faust drops records: a rebalance throws away what was fetched but not delivered, and records of the old fetch that
arrive late make it take the re-read ones for old (`_read_offset` in faust/transport/consumer.py). It then commits
past them. Measured here after an outage of the broker: 4 and 16 records skipped within a second.

So each record must follow on the one before it, and the first of an assignment on the committed offset. Where one does
not, the broker is asked whether there is anything between (retention and transactions leave true gaps); if there is,
the later records are passed over without an acknowledgement and the consumer goes back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic

import faust
from aiokafka.errors import IllegalStateError, KafkaError
from faust.types import TP, EventT

from app.clients.kafka import committed_offset, first_offset
from app.errors import Unavailable
from app.faustapp import App
from app.metrics import OFFSET_GAPS
from app.settings import Settings

log = logging.getLogger(__name__)

SEEK_AGAIN_SECONDS = 2.0  # records of an old fetch may still arrive after a seek
GIVE_UP_SECONDS = 60.0
IDLE_SECONDS = 10.0
LOOK_SECONDS = 5.0


class OffsetGap(Exception):
    """Records are missing and going back does not bring them: reading on would lose them."""


class Continuity:
    """Follows the offsets of one agent's topic."""

    def __init__(self, app: App, settings: Settings, topics: Sequence[str]) -> None:
        self._app = app
        self._settings = settings
        self._topics = frozenset(topics)
        self._next: dict[TP, int] = {}
        self._assigned_anew: set[TP] = set()
        self._went_back: dict[TP, tuple[float, float]] = {}  # when first, when last
        self._behind_at: dict[TP, int] = {}  # where the last look found records that had not come
        self._heard = monotonic()
        app.on_partitions_assigned.connect(self._on_assigned, weak=False)

    def close(self) -> None:
        """Stop following."""
        self._app.on_partitions_assigned.disconnect(self._on_assigned)

    async def _on_assigned(self, _app: faust.App, assigned: set[TP], **_: object) -> None:
        self._assigned_anew = {partition for partition in assigned if partition.topic in self._topics}

    async def admit(self, batch: Sequence[EventT[bytes]]) -> list[EventT[bytes]]:
        """Events of the batch that follow on what came before. Raises OffsetGap."""
        self._heard = monotonic()
        admitted = []
        for event in batch:
            partition, offset = event.message.tp, event.message.offset
            await self._meet(partition)
            if offset > self._next[partition] and await self._missing(partition, offset):
                self._app.consumer._unacked_messages.discard(event.message)  # it will come again as another object
                continue
            self._next[partition] = max(self._next[partition], offset + 1)
            self._went_back.pop(partition, None)
            admitted.append(event)
        return admitted

    async def _meet(self, partition: TP) -> None:
        """Know where a partition goes on; anew after each assignment, since another process may have had it."""
        while partition not in self._next or partition in self._assigned_anew:
            assigned = self._assigned_anew
            committed = self._app.consumer._committed_offset[partition]
            if committed is None:
                # Faust delivers before it has asked. Taken for 0, all that was ever read would be read again.
                name, number = partition.topic, partition.partition
                committed = await committed_offset(self._settings, self._app.conf.id, name, number)
            known = partition in self._next and partition not in assigned
            if known or assigned is not self._assigned_anew:
                continue  # the look and a batch may both ask, and the first was faster; or it was assigned once more
            assigned.discard(partition)
            self._went_back.pop(partition, None)
            self._next[partition] = committed or 0

    async def _missing(self, partition: TP, offset: int) -> bool:
        """Whether there are records before this one that did not come; goes back to them."""
        expected = self._next[partition]
        if partition not in self._went_back:
            there = await first_offset(self._settings, partition.topic, partition.partition, expected)
            if there is None or there >= offset:
                log.info("no such offsets", extra={"partition": str(partition), "first": expected, "next": offset})
                self._next[partition] = offset
                return False
        await self._go_back(partition, expected)
        return True

    async def _go_back(self, partition: TP, offset: int) -> None:
        now = monotonic()
        first, last = self._went_back.get(partition, (now, 0.0))
        if now - first > GIVE_UP_SECONDS:
            raise OffsetGap(f"{partition.topic}:{partition.partition} does not come back to offset {offset}")
        if last and now - last < SEEK_AGAIN_SECONDS:
            return
        self._went_back[partition] = (first, now)
        OFFSET_GAPS.inc()
        log.warning("records were passed over; going back", extra={"partition": str(partition), "offset": offset})
        self._app.consumer._gap.pop(partition, None)  # Faust would commit past them
        try:
            await self._app.consumer.seek_wait({partition: offset})
        except IllegalStateError:
            log.info("the partition went elsewhere meanwhile", extra={"partition": str(partition)})

    async def watch(self) -> None:
        """Go back also where nothing comes after what was dropped, so that nobody would notice."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if self._idle():
                    for partition in self._app.consumer.assignment():
                        if partition.topic in self._topics:
                            await self._look(partition)
            except (KafkaError, Unavailable) as error:
                log.warning("cannot look for records passed over", extra={"why": repr(error)})

    def _idle(self) -> bool:
        quiet = not self._app.in_hand and monotonic() - self._heard >= IDLE_SECONDS
        return quiet and not self._app.rebalancing and bool(self._app.consumer.flow_active)

    async def _look(self, partition: TP) -> None:
        await self._meet(partition)
        expected, end = self._next[partition], self._app.consumer.highwater(partition)
        if end is None or expected >= end:
            self._behind_at.pop(partition, None)
            return
        # Records that were fetched this moment are on their way: what was dropped is still missing at the next look.
        if self._behind_at.get(partition) != expected:
            self._behind_at[partition] = expected
            return
        there = await first_offset(self._settings, partition.topic, partition.partition, expected)
        if self._next[partition] != expected:
            return
        if there is None:
            self._next[partition] = end
        else:
            await self._go_back(partition, expected)
