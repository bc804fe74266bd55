"""The lease: of all trackers, one may listen. It is the membership in a group that reads a topic of one partition.

Being assigned the partition is not enough. A process that was frozen, or cut off from Kafka, has lost it without having
been told. So the holder asks the group's coordinator every second; with the last answer older than the session, Kafka
has given or may give the lease to another. Counted from when the question was sent, on a clock that runs on while the
process is frozen or its machine sleeps, so a thawed holder knows before it does anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError
from mode import Service

from app.clients.kafka import connection, stop_consumer
from app.errors import Unavailable
from app.settings import Settings
from app.topics import TRACKER_LEASE, full_name
from app.tracking.clock import boottime
from app.tracking.staying import Staying

log = logging.getLogger(__name__)

SESSION_SECONDS = 6.0  # the least that Kafka allows by default
FRESH_SECONDS = 5.0  # after which the lease is uncertain: less than the session
FROZEN_SECONDS = 5.0  # a tick that comes so late was held up with the whole process
_BEAT_SECONDS = 1.0
_RETRY_SECONDS = 2.0


class Lease(Service, ConsumerRebalanceListener):
    """Takes part in the group for as long as it runs."""

    abstract = False
    logger = logging.getLogger("mode.lease")

    def __init__(self, settings: Settings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._topic = full_name(TRACKER_LEASE, settings)
        self._consumer: AIOKafkaConsumer | None = None
        self._assigned = False
        self._sure = -FRESH_SECONDS  # by `boottime`: when the last question was sent that Kafka has answered with yes
        self._changed = asyncio.Event()
        self._kicked = asyncio.Event()
        self._offered = False
        self._ticked = boottime()
        self.tenure = 0  # grows with each time that the lease was lost

    @property
    def held(self) -> bool:
        """Whether the lease is ours, as far as is known. While Kafka is away it stays so: nobody else can get it.

        A process that was frozen does not have it until Kafka has said so again.
        """
        return self._assigned and boottime() - self._ticked < FROZEN_SECONDS

    @property
    def sure(self) -> bool:
        """Whether Kafka has confirmed just now that it is ours: only then may anything be sent."""
        return self._assigned and boottime() - self._sure < FRESH_SECONDS

    @property
    def in_touch(self) -> bool:
        """Whether Kafka has answered just now, whoever has the lease."""
        return boottime() - self._sure < FRESH_SECONDS

    @property
    def generation(self) -> int:
        """Of the group."""
        coordinator = self._consumer._coordinator if self._consumer is not None else None
        return int(coordinator.generation) if coordinator is not None else 0

    async def wait(self, seconds: float) -> None:
        """Return when the lease has come or gone, or after so long."""
        self._changed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    def offer(self) -> None:
        """Let any other member have it, now and from now on; where there is none, it stays."""
        if not self._offered and self._consumer is not None:
            self._offered = True
            log.warning("this tracker offers the lease to others: every source refuses it")
            self._consumer._coordinator.request_rejoin()

    def keep(self) -> None:
        """Offer it no more: this tracker has use for it."""
        self._offered = False

    async def on_stop(self) -> None:
        """Leave the group, so that another can take over at once."""
        await self._leave()
        self._lose("it stops")

    async def _leave(self) -> None:
        """End the membership; one that is only forgotten would go on, and keep the lease from all others."""
        consumer, self._consumer = self._consumer, None
        self._sure = -FRESH_SECONDS  # from now on another may get the lease at any moment
        if consumer is not None:
            with suppress(TimeoutError, KafkaError, ConsumerStoppedError):
                await asyncio.wait_for(stop_consumer(consumer), 2)

    def _claimed(self) -> int:
        if self._offered:
            return 0
        return 3 if self.sure else 2 if self.held else 1

    @Service.task
    async def _notice_freezes(self) -> None:
        while not self.should_stop:
            if boottime() - self._ticked > FROZEN_SECONDS:
                self._lose("this process was frozen")
            self._ticked = boottime()
            await self.sleep(_BEAT_SECONDS)

    @Service.task
    async def _take_part(self) -> None:
        """Stay in the group; begin anew where Kafka was not there."""
        while not self.should_stop:
            try:
                await self._join()
                await self._beat()
            except (KafkaError, OSError, Unavailable) as error:
                log.warning("the tracker's lease waits for Kafka", extra={"why": type(error).__name__})
            finally:
                await self._leave()
            await self.sleep(_RETRY_SECONDS)

    async def _join(self) -> None:
        consumer = AIOKafkaConsumer(
            **connection(self._settings),
            group_id=lease_group(self._settings),
            enable_auto_commit=False,
            session_timeout_ms=int(SESSION_SECONDS * 1000),
            heartbeat_interval_ms=2000,
            rebalance_timeout_ms=int(SESSION_SECONDS * 1000),
            # A tracker that comes must not take the lease from the one that listens.
            partition_assignment_strategy=(Staying(self._claimed),),
        )
        self._consumer = consumer
        try:
            consumer.subscribe([self._topic], listener=self)
            await consumer.start()
        except BaseException:
            await self._leave()
            raise

    async def _beat(self) -> None:
        """Ask whether the lease stands, once a second."""
        consumer = self._consumer
        assert consumer is not None  # noqa: S101 -- joined
        polling = asyncio.create_task(self._poll(consumer))
        try:
            while not self.should_stop and not polling.done():
                asked = boottime()
                if await _answers(consumer):
                    self._sure = asked
                    self._gain_if_assigned(consumer)  # frozen perhaps, but nobody else was there to take it
                elif not consumer._coordinator.member_id:
                    self._sure = -FRESH_SECONDS  # put out of the group: somebody else may have it by now
                self._kicked.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._kicked.wait(), max(0.0, asked + _BEAT_SECONDS - boottime()))
        finally:
            polling.cancel()
            with suppress(asyncio.CancelledError, KafkaError, ConsumerStoppedError):
                await polling

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        """A member that does not ask for records is put out of the group. There are none."""
        while True:
            await consumer.getmany(timeout_ms=1000)

    def _gain_if_assigned(self, consumer: AIOKafkaConsumer) -> None:
        if not self._assigned and self.in_touch and consumer.assignment():
            self._assigned = True
            log.info("this tracker has the lease", extra={"generation": self.generation})
            self._changed.set()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """A rebalance has begun: whether the lease stays is told by its end."""

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """A rebalance has ended. What was assigned is held once the next beat says so."""
        if not any(assigned):
            self._lose("another tracker has it")
        self._kicked.set()

    def _lose(self, why: str) -> None:
        if self._assigned:
            self._assigned = False
            self.tenure += 1
            log.info("this tracker has lost the lease", extra={"why": why})
        self._changed.set()


async def _answers(consumer: AIOKafkaConsumer) -> bool:
    """Whether the coordinator says now that this member is one of its group."""
    if not consumer._coordinator.member_id:
        return False
    try:
        return bool(await asyncio.wait_for(consumer._coordinator._do_heartbeat(), 2 * _BEAT_SECONDS))
    except (KafkaError, TimeoutError):
        return False


def lease_group(settings: Settings) -> str:
    """Name of the group."""
    return f"{settings.topic_prefix}starling-tracker-lease"
