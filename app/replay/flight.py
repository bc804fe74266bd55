"""Records on their way to Kafka: bounded, in order, and told of when Kafka has confirmed them."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from app.domain.records import Headers
from app.errors import Unavailable
from app.replay.packing import Record

# Enough to keep a broker busy, little enough to hold in memory and to repeat after a kill.
MOST_BYTES = 16 * 1024 * 1024
MOST_RECORDS = 512
GIVE_UP_SECONDS = 60.0  # a broker's restart takes less
_STOP_SECONDS = 5.0  # what is under way may still be confirmed after Ctrl-C
_LOOK_SECONDS = 0.2


class Flight:
    """Sends records to the partitions in turn; calls `on_confirmed` with each, in the order of sending."""

    def __init__(
        self,
        sender: AIOKafkaProducer,
        topic: str,
        partitions: int,
        headers: Callable[[int], Headers],
        stopping: asyncio.Event,
        patience: float = GIVE_UP_SECONDS,
    ) -> None:
        self.on_confirmed: Callable[[Record], None] = lambda _: None
        self._sender = sender
        self._topic = topic
        self._partitions = partitions
        self._next = random.randrange(partitions)  # noqa: S311 -- small files shall not all go to the first
        self._headers = headers
        self._stopping = stopping
        self._patience = patience
        self._moved_at = time.monotonic()
        self._flying: deque[tuple[asyncio.Future[Any], Record]] = deque()
        self._bytes = 0

    async def send(self, record: Record) -> None:
        """Send a record once there is room for it; not at all if stopped meanwhile. Raises Unavailable."""
        if not self._flying:
            self._moved_at = time.monotonic()
        while not self._room_for(record):
            await self._look()
            if self._stopping.is_set():
                return
        received_ms = int((time.time() - (time.monotonic() - record.since)) * 1000)
        future = await self._hand_over(record, self._headers(received_ms))
        if future is not None:
            self._flying.append((future, record))
            self._bytes += len(record.value)
            self._next = (self._next + 1) % self._partitions
        self.settle()
        await asyncio.sleep(0)  # a producer with room never gives the loop to its own sender

    def settle(self) -> None:
        """Tell of what was confirmed by now. Raises Unavailable if Kafka refused a record."""
        while self._flying and self._flying[0][0].done():
            future, record = self._flying[0]
            if (error := future.exception()) is not None:
                raise self._refused(error)
            self._flying.popleft()
            self._bytes -= len(record.value)
            self._moved_at = time.monotonic()
            self.on_confirmed(record)

    async def land(self) -> None:
        """Wait until all is confirmed, for a few seconds only if stopped. Raises Unavailable."""
        patience_ends = None
        while self._flying:
            await self._look()
            if self._stopping.is_set():
                patience_ends = patience_ends or time.monotonic() + _STOP_SECONDS
                if time.monotonic() > patience_ends:
                    return

    def forget(self) -> None:
        """Drop what is under way, so that it is not told of later."""
        self._flying.clear()
        self._bytes = 0

    def _room_for(self, record: Record) -> bool:
        return not self._flying or (len(self._flying) < MOST_RECORDS and self._bytes + len(record.value) <= MOST_BYTES)

    async def _look(self) -> None:
        """Wait a moment for the oldest record."""
        await asyncio.wait([self._flying[0][0]], timeout=_LOOK_SECONDS)
        self.settle()
        if self._flying:
            self._check_patience()

    async def _hand_over(self, record: Record, headers: Headers) -> asyncio.Future[Any] | None:
        """Give the record to the producer, whose buffer may be full; None if stopped before it was taken."""
        while not self._stopping.is_set():
            sending = self._sender.send(self._topic, record.value, partition=self._next, headers=headers)
            taken = asyncio.ensure_future(sending)
            try:
                while not (await asyncio.wait([taken], timeout=_LOOK_SECONDS))[0]:
                    self.settle()
                    self._check_patience()
                    if self._stopping.is_set():
                        return None
                future: asyncio.Future[Any] = taken.result()
            except KafkaTimeoutError:
                continue
            except KafkaError as error:
                raise self._refused(error) from None
            finally:
                taken.cancel()
            return future
        return None

    def _check_patience(self) -> None:
        if time.monotonic() - self._moved_at > self._patience:
            raise Unavailable(f"Kafka has confirmed nothing for {self._patience:g} s")

    @staticmethod
    def _refused(error: BaseException) -> Unavailable:
        return Unavailable(f"Kafka did not take the posts ({type(error).__name__})")
