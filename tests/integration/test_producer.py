"""What is on its way to Kafka when its client is given up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata

from app.clients.kafka import producer
from app.local.stack import Stack
from app.settings import Settings
from app.topics import RAW, full_name
from tests.support import topics
from tests.support.place import place
from tests.support.proxy import Proxy


def test_a_client_that_is_given_up_sends_nothing_afterwards(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    async def given_up(settings: Settings, way: Proxy) -> None:
        apart = settings.model_copy(update={"kafka": way.address, "connect_timeout": 1.0})
        host, _, port = way.address.rpartition(":")
        told = ClusterMetadata.broker_metadata

        def by_that_way(self: ClusterMetadata, broker: int) -> Any:
            found = told(self, broker)
            return None if found is None else found._replace(host=host, port=int(port))

        with monkeypatch.context() as patched:
            patched.setattr(ClusterMetadata, "broker_metadata", by_that_way)
            async with producer(apart) as client:
                await (await client.send(full_name(RAW, settings), b"before"))
                way.cut()
                await client.send(full_name(RAW, settings), b"after")
            way.mend()
            await asyncio.sleep(2)  # a client that still runs tries ten times a second

    with place(stack, partitions=1) as settings, Proxy(settings.kafka) as way:
        asyncio.run(given_up(settings, way))
        assert [record.value for record in topics.read(settings, RAW)] == [b"before"]
