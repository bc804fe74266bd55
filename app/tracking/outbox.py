"""What is on its way to Kafka: in order, bounded, on disk when Kafka is away or slow, or when it is not sure who may
send.

A parcel is in exactly one place: waiting, flying, or spooled. While anything is spooled, what comes later is spooled
behind it once it has waited for a while, so that a kill costs no more than that. So that this ends, what comes while
the last file is being sent waits for longer, and goes to Kafka after it. Flying ones that Kafka did not take go to the
spool before anything else does. What is spooled is compared with what `raw_tweets` holds before it is sent (`history`),
and with what the ledger says by then (`standing`): another tracker may have heard it meanwhile, or it was sent before a
restart.

How a source is at this moment is no part of that order: only the newest word of it counts, no disk keeps it, and it is
told while what is on disk is still to be sent.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from math import inf
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from mode import Service

from app.clients.kafka import producer
from app.clients.view import View
from app.domain.coverage import Entry
from app.errors import Unavailable
from app.metrics import SPOOL_BYTES, SPOOL_LIMIT_BYTES
from app.settings import Settings
from app.topics import DEAD_LETTERS
from app.tracking.history import History
from app.tracking.lease import Lease
from app.tracking.parcel import Parcel
from app.tracking.refused import is_for_size, smaller
from app.tracking.spool import Spool, SpoolFull
from app.tracking.standing import still_to_tell, without_lost

log = logging.getLogger(__name__)

FLYING_BYTES = 16 * 1024 * 1024
# Beyond this the source is not read any more, until Kafka or the disk has taken some.
WAITING_BYTES = 64 * 1024 * 1024
SPOOL_AFTER_SECONDS = 1.0  # what waits longer is safer on disk
# The same, while the last file of the spool is being sent, which takes a second or two.
_LAST_FILE_SECONDS = 10.0
_SLOW_SECONDS = 1.0  # the same, while all is sent as it comes: Kafka takes less than that
_LOOK_SECONDS = 0.2
_RETRY_SECONDS = 1.0
_STOP_SECONDS = 3.0
_ROOM_SECONDS = 20.0  # without that the source would be taken for dead
# Pauses before a file of the spool that cannot be read is read again. A disk may come back; what stays so is given up.
_READ_AGAIN_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)


class Outbox(Service):
    """Takes parcels at once and sends them when it may. Start it after the view of the ledger that it is given."""

    abstract = False
    logger = logging.getLogger("mode.outbox")

    def __init__(
        self,
        settings: Settings,
        lease: Lease,
        spool: Spool,
        history: History,
        coverage: View[Entry],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._lease = lease
        self._spool = spool
        self._history = history
        self._coverage = coverage
        SPOOL_LIMIT_BYTES.set(spool.most)
        self._waiting: deque[tuple[float, Parcel]] = deque()
        self._waiting_bytes = 0
        self._doubtful = 0  # so many of those that wait, the first ones, may be in Kafka
        self._flying: deque[tuple[asyncio.Future[Any], Parcel]] = deque()
        self._flying_bytes = 0
        self._passing: dict[bytes | None, Parcel] = {}  # the newest by key
        self._some = asyncio.Event()
        self._at_hand = asyncio.Lock()  # one at a time moves what waits
        self._sending = False
        self._patience: asyncio.Timeout | None = None  # while what comes is sent as it comes
        self._in_time = 0.0  # since when nothing before what comes is on disk
        self._stopped_sending = False
        self._singly = False  # something at the head of the spool was refused for its size
        self._next = random.randrange(settings.partitions)  # noqa: S311 -- restarts shall not all begin with the first
        self.full: str | None = None  # why it takes no more
        self.unread: str | None = None  # why nothing of what is on disk is sent
        self._unread = 0  # how often in a row
        self._read_again = 0.0
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

    @property
    def end(self) -> int:
        """A place behind all that is on disk now."""
        return self._spool.end

    def is_past(self, place: int) -> bool:
        """Whether all that was on disk before a place is in Kafka."""
        return self._spool.is_past(place)

    def holds(self, connection: str) -> bool:
        """Whether posts that came by this connection are neither in Kafka nor on disk yet."""
        return any(parcel.connection == connection for _, parcel in (*self._flying, *self._waiting))

    @property
    def _at_work(self) -> bool:
        return bool(self._flying or self._waiting or self._passing)

    def put(self, parcel: Parcel) -> None:
        """Take a parcel. Never waits; look at `room` now and then."""
        if parcel.passing:
            self._passing[parcel.key] = parcel
        else:
            self._waiting.append((monotonic(), parcel))
            self._waiting_bytes += parcel.size
        self._some.set()

    async def room(self) -> None:
        """Return when there is room for more. Raises SpoolFull when the disk has none, or none soon."""
        deadline = monotonic() + _ROOM_SECONDS
        while self._waiting_bytes > WAITING_BYTES:
            if self.full:
                raise SpoolFull(self.full)
            if monotonic() > deadline:
                raise SpoolFull(f"Kafka and the disk take less than comes: more than {WAITING_BYTES:,} bytes wait")
            await asyncio.sleep(_LOOK_SECONDS)

    async def on_stop(self) -> None:
        """Wait for what is flying, spool the rest."""
        deadline = monotonic() + _STOP_SECONDS
        while self._at_work and monotonic() < deadline and self._lease.sure and self._sending:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        self._stopped_sending = True
        await self._put_away()

    @Service.task
    async def _work(self) -> None:
        """Send, or put away, as long as it runs."""
        while not self._stopped_sending:
            SPOOL_BYTES.set(self._spool.size)
            if self._flying:  # by a client that is gone: its answers may never come
                await self._put_away()
            if not self._lease.in_touch or not (self._lease.sure or not self._spool.empty):
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            try:
                async with producer(self._settings) as client:
                    self._sending = True
                    await self._send(client)
            except (KafkaError, Unavailable, OSError, TimeoutError) as error:
                log.warning("Kafka takes no posts; they are kept", extra={"why": type(error).__name__})
                self._singly = is_for_size(error)
                await self._put_away()
                await asyncio.sleep(_RETRY_SECONDS)
            finally:
                self._sending = False

    @Service.task
    async def _relieve(self) -> None:
        """What is not sent as it comes goes to the disk once it is late, or much; what is late as it comes, too.

        So memory is bounded, and what a kill costs. While Kafka takes much in that time, a source that brings more yet
        waits: by way of the disk a post costs 1.7 times the CPU.
        """
        while not self._stopped_sending:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._spool.empty and self._patience is not None:
                if self._late and not self.full:
                    self._patience.reschedule(0.0)
                    self._patience = None
            elif self._late or self._waiting_bytes > WAITING_BYTES // 4:
                async with self._at_hand:
                    if not self._flying:
                        await self._spool_all()

    @property
    def _late(self) -> bool:
        """Whether something waits for too long."""
        if not self._waiting:
            return False
        since, most = self._waiting[0][0], SPOOL_AFTER_SECONDS
        if self._patience is not None and self._spool.empty:
            since, most = max(since, self._in_time), _SLOW_SECONDS
        elif self._patience is not None and not self._spool.several:
            most = _LAST_FILE_SECONDS
        return monotonic() - since > most

    async def _send(self, client: AIOKafkaProducer) -> None:
        """Send while it may, and Kafka takes what comes. Raises KafkaError."""
        try:
            async with asyncio.timeout(None) as patience:
                self._patience, self._in_time = patience, monotonic()
                await self._send_all(client)
        except TimeoutError:
            if not patience.expired():
                raise
            log.warning("Kafka takes less than comes; it is kept", extra={"bytes": self._waiting_bytes})
            await self._put_away()
        finally:
            self._patience = None

    async def _send_all(self, client: AIOKafkaProducer) -> None:
        while not self._stopped_sending:
            if not self._spool.empty and self._lease.in_touch:
                await self._send_passing(client)
                await self._send_spooled(client)
                continue
            if not self._lease.sure:
                return
            self._some.clear()
            async with self._at_hand:
                await self._send_waiting(client)
                await self._send_passing(client)
            if not self._waiting:
                await self._rest()

    async def _rest(self) -> None:
        """Wait for something to do, and see what has landed meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):  # `wait_for` may swallow that it is to go on by way of the disk
                await self._some.wait()
        self._settle()

    async def _send_waiting(self, client: AIOKafkaProducer) -> None:
        while self._waiting and self._lease.sure and self._spool.empty and not self._stopped_sending:
            self._settle()
            await self._send_passing(client)
            if self._doubtful:
                await self._send_doubtful(client)
                continue
            if self._flying_bytes >= FLYING_BYTES:
                await asyncio.wait([self._flying[0][0]], timeout=_LOOK_SECONDS)
                continue
            _, parcel = self._waiting[0]
            future = await self._hand_over(client, parcel)
            self._waiting.popleft()
            self._waiting_bytes -= parcel.size
            self._flying.append((future, parcel))
            self._flying_bytes += parcel.size
        if not self._waiting:
            self.full = None  # nothing needs a disk that had no room

    async def _send_doubtful(self, client: AIOKafkaProducer) -> None:
        """Send what was on its way, or at hand, when Kafka failed, and found no room on disk."""
        parcels = [parcel for _, parcel in islice(self._waiting, self._doubtful)]
        await self._send_rest(client, parcels)
        self._doubtful = 0
        self._have_kept(parcels)

    async def _send_passing(self, client: AIOKafkaProducer) -> None:
        while self._passing and self._lease.sure and not self._stopped_sending:
            key, parcel = next(iter(self._passing.items()))
            await self._hand_over(client, parcel)
            if self._passing[key] is parcel:
                del self._passing[key]

    async def _send_spooled(self, client: AIOKafkaProducer) -> None:
        """Send the oldest file of the spool."""
        if monotonic() < self._read_again:
            await asyncio.sleep(_LOOK_SECONDS)
            return
        await self._landed()
        try:
            parcels = await asyncio.to_thread(self._spool.first)
        except OSError as error:
            await self._put_off((error.strerror or str(error)).lower())
            return
        self._unread, self.unread = 0, None
        await self._send_rest(client, parcels)
        self._in_time = inf  # what waits is not late while the last file is removed, however long that takes
        try:
            await asyncio.to_thread(self._spool.drop_first)
        finally:
            self._in_time = monotonic()
        self.full = None  # it has room again
        log.info("spooled posts are in Kafka", extra={"records": len(parcels), "bytes_left": self._spool.size})

    async def _send_rest(self, client: AIOKafkaProducer, parcels: list[Parcel]) -> None:
        """Send parcels without what Kafka has, or has newer. Raises KafkaError, TimeoutError, Unavailable."""
        unsent = await self._history.unsent(await still_to_tell(parcels, self._coverage))
        if self._singly:
            await self._send_singly(unsent)
            self._singly = False
        else:
            self._history.sent(await asyncio.gather(*[await self._hand_over(client, parcel) for parcel in unsent]))

    async def _put_off(self, why: str) -> None:
        """Have what cannot be read tried again later; in the end it is put aside, and what is behind it goes on."""
        if self._unread == len(_READ_AGAIN_SECONDS):
            await asyncio.to_thread(self._spool.drop_first)
            self._unread, self.unread = 0, None
            return
        if self.unread is None:
            log.warning("a file of the spool cannot be read", extra={"why": why})
        self.unread = f"a file of what was kept on disk cannot be read ({why}); if that lasts it is put aside"
        self._read_again = monotonic() + _READ_AGAIN_SECONDS[self._unread]
        self._unread += 1

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
            without_lost(parcel, self._spool.lost),
            parcel.key,
            partition,
            headers=parcel.headers,
        )
        sent.add_done_callback(self._look_again)
        return sent

    def _look_again(self, sent: asyncio.Future[Any]) -> None:
        self._some.set()
        if not sent.cancelled():
            sent.exception()  # of what is only told in passing nobody asks for it

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
        async with self._at_hand:
            await self._spool_all()

    async def _spool_all(self) -> None:
        """Spool everything at hand, in order. Hold `_at_hand` for it.

        What has landed behind something that has not is among it, and is found in Kafka later: who is told that it is
        kept takes all before it for kept, too.
        """
        while self._flying and _has_landed(self._flying[0][0]):
            self.on_kept(self._flying.popleft()[1])
        for _, parcel in reversed(self._flying):
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
            self._thin_out()
            self.full, self._doubtful = str(full), len(self._waiting)
            return
        self.full, self._doubtful = None, 0
        self._have_kept(parcels)

    def _thin_out(self) -> None:
        """Leave the newest entry of each key: while nothing can be kept there are more every few seconds."""
        newest = {(parcel.topic, parcel.key): at for at, (_, parcel) in enumerate(self._waiting)}
        self._waiting = deque(
            one for at, one in enumerate(self._waiting) if one[1].key is None or newest[one[1].topic, one[1].key] == at
        )
        self._waiting_bytes = sum(parcel.size for _, parcel in self._waiting)

    def _have_kept(self, parcels: list[Parcel]) -> None:
        """The first ones of those that waited are in Kafka, or on disk."""
        for parcel in parcels:
            self._waiting.popleft()
            self._waiting_bytes -= parcel.size
            self.on_kept(parcel)


def _has_landed(future: asyncio.Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
