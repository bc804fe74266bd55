"""What is on its way to Kafka: in order, bounded, on disk when Kafka is away or when it is not sure who may send.

A parcel is in exactly one place: waiting, flying, or spooled. While anything is spooled, what comes later is spooled
behind it. Flying ones that Kafka did not take go to the spool before anything else does. What is spooled is compared
with what `raw_tweets` holds before it is sent (`history`): another tracker may have heard it meanwhile, or it was sent
before a restart.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any, TypeAlias

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from mode import Service

from app.clients.kafka import producer
from app.errors import Unavailable
from app.metrics import SPOOL_BYTES
from app.settings import Settings
from app.topics import DEAD_LETTERS
from app.tracking.lease import Lease
from app.tracking.parcel import Parcel
from app.tracking.refused import is_for_size, smaller
from app.tracking.spool import Spool, SpoolFull

log = logging.getLogger(__name__)

FLYING_BYTES = 16 * 1024 * 1024
# Beyond this the source is not read any more, until the disk has taken some.
WAITING_BYTES = 64 * 1024 * 1024
SPOOL_AFTER_SECONDS = 1.0  # what waits longer is safer on disk
_LOOK_SECONDS = 0.2
_RETRY_SECONDS = 1.0
_STOP_SECONDS = 3.0

Unsent: TypeAlias = Callable[[list[Parcel]], Awaitable[list[Parcel]]]


class Outbox(Service):
    """Takes parcels at once and sends them when it may."""

    abstract = False
    logger = logging.getLogger("mode.outbox")

    def __init__(self, settings: Settings, lease: Lease, spool: Spool, unsent: Unsent, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._lease = lease
        self._spool = spool
        self._unsent = unsent  # leaves out what Kafka has
        self._waiting: deque[tuple[float, Parcel]] = deque()
        self._waiting_bytes = 0
        self._flying: deque[tuple[asyncio.Future[Any], Parcel]] = deque()
        self._flying_bytes = 0
        self._some = asyncio.Event()
        self._at_hand = asyncio.Lock()  # one at a time moves what waits
        self._sending = False
        self._stopped_sending = False
        self._singly = False  # something at the head of the spool was refused for its size
        self._next = random.randrange(settings.partitions)  # noqa: S311 -- restarts shall not all begin with the first
        self.full: str | None = None  # why it takes no more
        self.on_kept: Callable[[Parcel], None] = lambda _: None  # told of each that is in Kafka or on disk

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest post came that Kafka does not have yet, spooled ones aside; None if it has all."""
        for _, parcel in (*self._flying, *self._waiting):
            if parcel.heard_ms:
                return parcel.heard_ms
        return None

    @property
    def spooled(self) -> int:
        """Bytes on disk."""
        return self._spool.size

    def holds(self, connection: str) -> bool:
        """Whether posts that came by this connection are neither in Kafka nor on disk yet."""
        return any(parcel.connection == connection for _, parcel in (*self._flying, *self._waiting))

    def put(self, parcel: Parcel) -> None:
        """Take a parcel. Never waits; look at `room` now and then."""
        self._waiting.append((monotonic(), parcel))
        self._waiting_bytes += parcel.size
        self._some.set()

    async def room(self) -> None:
        """Return when there is room for more. Raises SpoolFull when the disk has none."""
        while self._waiting_bytes > WAITING_BYTES:
            if self.full:
                raise SpoolFull(self.full)
            await asyncio.sleep(_LOOK_SECONDS)

    async def on_stop(self) -> None:
        """Wait for what is flying, spool the rest."""
        deadline = monotonic() + _STOP_SECONDS
        while (self._flying or self._waiting) and monotonic() < deadline and self._lease.sure and self._sending:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        self._stopped_sending = True
        async with self._at_hand:
            await self._put_away()

    @Service.task
    async def _work(self) -> None:
        """Send, or put away, as long as it runs."""
        while not self._stopped_sending:
            SPOOL_BYTES.set(self._spool.size)
            if not self._lease.in_touch or not (self._lease.sure or not self._spool.empty):
                await self._hold_back()
                continue
            try:
                async with producer(self._settings) as client:
                    self._sending = True
                    await self._send(client)
            except (KafkaError, Unavailable, OSError, TimeoutError) as error:
                log.warning("Kafka takes no posts; they are kept", extra={"why": type(error).__name__})
                self._singly = is_for_size(error)
                async with self._at_hand:
                    await self._put_away()
                await asyncio.sleep(_RETRY_SECONDS)
            finally:
                self._sending = False

    async def _hold_back(self) -> None:
        """Nothing may be sent now: what waits too long goes to the disk."""
        if self._flying or (self._waiting and monotonic() - self._waiting[0][0] > SPOOL_AFTER_SECONDS):
            async with self._at_hand:
                await self._put_away()
        await asyncio.sleep(_LOOK_SECONDS)

    @Service.task
    async def _relieve(self) -> None:
        """While what is on disk is being sent, what comes goes there too: memory is bounded."""
        while not self._stopped_sending:
            await asyncio.sleep(_LOOK_SECONDS)
            if not self._spool.empty and not self._flying and self._waiting_bytes > WAITING_BYTES // 4:
                async with self._at_hand:
                    await self._put_away()

    async def _send(self, client: AIOKafkaProducer) -> None:
        """Send while it may. Raises KafkaError."""
        while not self._stopped_sending:
            if not self._spool.empty and self._lease.in_touch:
                await self._send_spooled(client)
                continue
            if not self._lease.sure:
                return
            self._some.clear()
            async with self._at_hand:
                await self._send_waiting(client)
            if not self._waiting:
                await self._rest()

    async def _rest(self) -> None:
        """Wait for something to do, and see what has landed meanwhile."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._some.wait(), 1.0)
        self._settle()

    async def _send_waiting(self, client: AIOKafkaProducer) -> None:
        while self._waiting and self._lease.sure and self._spool.empty and not self._stopped_sending:
            self._settle()
            if self._flying_bytes >= FLYING_BYTES:
                await asyncio.wait([self._flying[0][0]], timeout=_LOOK_SECONDS)
                continue
            _, parcel = self._waiting[0]
            future = await self._hand_over(client, parcel)
            self._waiting.popleft()
            self._waiting_bytes -= parcel.size
            self._flying.append((future, parcel))
            self._flying_bytes += parcel.size

    async def _send_spooled(self, client: AIOKafkaProducer) -> None:
        """Send the oldest file of the spool, without what Kafka has."""
        await asyncio.to_thread(self._spool.seal)
        await self._landed()
        parcels = await asyncio.to_thread(self._spool.first)
        unsent = await self._unsent(parcels)
        if self._singly:
            await self._send_singly(unsent)
            self._singly = False
        else:
            await asyncio.gather(*[await self._hand_over(client, parcel) for parcel in unsent])
        await asyncio.to_thread(self._spool.drop_first)
        log.info("spooled posts are in Kafka", extra={"records": len(parcels), "bytes_left": self._spool.size})

    async def _send_singly(self, parcels: list[Parcel]) -> None:
        """Send each alone, so none is refused for what lies beside it; in place of one refused what is smaller."""
        left = deque(parcels)
        while left:
            # Of its own, and a new one after each refusal: what a producer sends after a batch that was refused lacks
            # a number before it, and Kafka refuses that too.
            async with producer(self._settings) as client:
                try:
                    while left:
                        await (await self._hand_over(client, left[0]))
                        left.popleft()
                except KafkaError as error:
                    if not is_for_size(error) or left[0].topic == DEAD_LETTERS.name:
                        raise
                    left.extendleft(reversed(smaller(left.popleft())))

    async def _hand_over(self, client: AIOKafkaProducer, parcel: Parcel) -> asyncio.Future[Any]:
        partition = None
        if parcel.key is None:
            partition = self._next
            self._next = (self._next + 1) % self._settings.partitions
        sent: asyncio.Future[Any] = await client.send(
            self._settings.topic_prefix + parcel.topic,
            parcel.value,
            parcel.key,
            partition,
            headers=parcel.headers,
        )
        sent.add_done_callback(self._look_again)
        return sent

    def _look_again(self, _: asyncio.Future[Any]) -> None:
        self._some.set()

    def _settle(self) -> None:
        """Forget what Kafka has. Raises KafkaError where it did not take something."""
        while self._flying and self._flying[0][0].done():
            if (error := self._flying[0][0].exception()) is not None:
                raise error
            _, parcel = self._flying.popleft()
            self._flying_bytes -= parcel.size
            self.on_kept(parcel)

    async def _landed(self) -> None:
        while self._flying:
            await asyncio.wait([self._flying[0][0]], timeout=_LOOK_SECONDS)
            self._settle()

    async def _put_away(self) -> None:
        """Spool everything at hand, in order; what has landed meanwhile not."""
        for future, parcel in reversed(self._flying):
            if _has_landed(future):
                self.on_kept(parcel)
                continue
            self._waiting.appendleft((monotonic(), parcel))
            self._waiting_bytes += parcel.size
        self._flying.clear()
        self._flying_bytes = 0
        parcels = [parcel for _, parcel in self._waiting]
        if not parcels:
            return
        try:
            await asyncio.to_thread(self._spool.append, parcels)
        except SpoolFull as full:
            if self.full is None:
                log.error("posts cannot be kept any more", extra={"why": str(full)})  # noqa: TRY400 -- one line
            self.full = str(full)
            return
        self.full = None
        for _ in parcels:
            _, parcel = self._waiting.popleft()
            self._waiting_bytes -= parcel.size
            self.on_kept(parcel)


def _has_landed(future: asyncio.Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
