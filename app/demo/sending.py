"""Generated posts into `raw_tweets`, at a rate, in records as the tracker makes them."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from zlib import crc32

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from app.clients.kafka import producer, unreachable
from app.demo.ledger import Ledger
from app.demo.plan import SOURCE
from app.domain.records import raw_headers
from app.generator import Generator, Planted
from app.settings import Settings
from app.topics import RAW, full_name

_TICK = 0.02  # seconds
_MOST_UNCONFIRMED = 200  # records; a broker that lags behind slows the stream down instead of filling the memory


class Sender:
    """Sends lines until enough posts are planted."""

    def __init__(self, settings: Settings, generator: Generator, ledger: Ledger, rate: float) -> None:
        self._settings = settings
        self._generator = generator
        self._ledger = ledger
        self._rate = rate
        self._open: list[list[Planted]] = [[] for _ in range(settings.partitions)]
        self._since = [0.0] * settings.partitions
        self._flying: set[asyncio.Future[Any]] = set()

    async def run(self, posts: int) -> None:
        """Send so many posts, and what else comes down a stream."""
        async with producer(self._settings) as client:
            began = time.time()
            made, planted = 0, 0
            while planted < posts:
                due = int((time.time() - began) * self._rate) - made
                for _ in range(due):
                    line = self._generator.line(int((began + made / self._rate) * 1000))
                    made += 1
                    planted += len(line.posts)
                    self._put(line, made)
                    if planted >= posts:
                        break
                await self._flush(client, all_of_it=planted >= posts)
                await asyncio.sleep(_TICK)
            await self._confirmed(down_to=0)

    def _put(self, line: Planted, number: int) -> None:
        """Lines of one post go to one partition, where they keep their order; others in turn."""
        partition = (crc32(line.key.encode()) if line.key else number) % len(self._open)
        if not self._open[partition]:
            self._since[partition] = time.monotonic()
        self._open[partition].append(line)

    async def _flush(self, client: AIOKafkaProducer, *, all_of_it: bool) -> None:
        most, linger = self._settings.record_posts, self._settings.record_linger
        for partition, lines in enumerate(self._open):
            if len(lines) >= most or (lines and (all_of_it or time.monotonic() - self._since[partition] >= linger)):
                for start in range(0, len(lines), most):
                    await self._send(client, partition, lines[start : start + most])
                self._open[partition] = []
        await self._confirmed(down_to=_MOST_UNCONFIRMED)

    async def _send(self, client: AIOKafkaProducer, partition: int, lines: list[Planted]) -> None:
        received_at = int(time.time() * 1000)
        # With a line end at the end: the last line may be a blank one.
        value = b"".join([line.line + b"\n" for line in lines])
        headers = raw_headers(SOURCE, "mixed", received_at, "live")
        try:
            future = await client.send(full_name(RAW, self._settings), value, partition=partition, headers=headers)
        except KafkaError as error:
            raise unreachable(self._settings, error) from None
        self._flying.add(future)
        for line in lines:
            self._ledger.note(line, received_at)

    async def _confirmed(self, down_to: int) -> None:
        """Return once no more records than that are under way."""
        while True:
            done = {future for future in self._flying if future.done()}
            self._flying -= done
            for future in done:
                if error := future.exception():
                    raise unreachable(self._settings, error)
            if len(self._flying) <= down_to:
                return
            await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
