"""A consumer is stopped whatever its tasks are about, and only who was cancelled is."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer

from app.clients.kafka import stop_consumer


class Client:
    closed = False

    async def close(self) -> None:
        self.closed = True


class Fetcher:
    def __init__(self) -> None:
        self._pending_tasks = [asyncio.ensure_future(asyncio.sleep(60)) for _ in range(2)]


class Failing(AIOKafkaConsumer):  # type: ignore[misc]
    """One whose fetch waits to be tried again."""

    def __init__(self) -> None:
        self._closed = True  # to aiokafka's own eyes
        self._client = Client()
        self._fetcher = Fetcher()

    async def stop(self) -> None:
        for fetch in self._fetcher._pending_tasks:
            fetch.cancel()
            await fetch


async def test_who_stops_one_is_not_ended_by_it() -> None:
    consumer = Failing()
    await stop_consumer(consumer)
    assert consumer._client.closed
    assert all(fetch.cancelled() for fetch in consumer._fetcher._pending_tasks)


async def test_who_is_cancelled_meanwhile_ends() -> None:
    stopping = asyncio.ensure_future(stop_consumer(Failing()))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
