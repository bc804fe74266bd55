"""Presence: each process tells every few seconds that it is there, what it works on, and what it has in force.

By a producer of its own, so that it tells while Faust recovers or rebalances too, and says farewell at a clean stop.
One that was killed falls silent, and is removed from the topic by a manager some time later.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from time import monotonic
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted
from mode import Service
from msgspec.structs import replace

from app.clients.cassandra import Writer
from app.clients.kafka import producer
from app.clients.view import View
from app.domain.presence import SILENT_MS, TOLD_SECONDS, Entry, Process, Versions, forgotten
from app.errors import Unavailable
from app.faustapp import App
from app.roles import Role
from app.settings import Settings
from app.topics import PRESENCE, full_name
from app.tracking.lease import Lease
from tables.known_events import KnownEvents

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_RETRY_SECONDS = 2.0
_FAREWELL_SECONDS = 2.0
_SWEEP_SECONDS = 60.0


class Presence(Service):
    """Tells of this process as long as it runs. `lease` where it tracks; `told`, the view of all, where it sweeps."""

    abstract = False
    logger = logging.getLogger("mode.presence")

    def __init__(
        self,
        app: App,
        role: Role,
        settings: Settings,
        events: KnownEvents,
        *,
        writer: Writer | None = None,
        lease: Lease | None = None,
        told: View[Entry] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._app = app
        self._settings = settings
        self._events = events
        self._writer = writer
        self._lease = lease
        self._told = told
        self._topic = full_name(PRESENCE, settings)
        self._farewell = asyncio.Event()
        now = _now_ms()
        self._process = Process(
            id=uuid.uuid4().hex[:12],
            role=role.value,
            holder=f"{socket.gethostname()}:{os.getpid()}",
            release=version("starling"),
            since=now,
            at=now,
        )
        self._versions = Versions(process=self._process.id, at=0, events={})

    async def on_stop(self) -> None:
        """Wait until the others know."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._farewell.wait(), _FAREWELL_SECONDS)

    @Service.task
    async def _run(self) -> None:
        while not self.should_stop:
            try:
                async with producer(self._settings) as client:
                    try:
                        await self._tell(client)
                    finally:
                        await self._leave(client)
            except (Unavailable, KafkaError, TimeoutError) as away:
                log.info("presence waits for Kafka", extra={"why": type(away).__name__})
                await self.sleep(_RETRY_SECONDS)
        self._farewell.set()

    async def _tell(self, client: AIOKafkaProducer) -> None:
        """Tell at once what has changed, and every few seconds that nothing has. Raises KafkaError, TimeoutError."""
        told = swept = 0.0
        seen = -1
        while not self.should_stop:
            now = monotonic()
            if (now - told) * 1000 >= SILENT_MS:
                seen, self._versions = -1, replace(self._versions, at=0)  # it may have been forgotten meanwhile
            process = self._as_it_is()
            if now - told >= TOLD_SECONDS or replace(process, at=self._process.at) != self._process:
                told, self._process = now, process
                await self._send(client, [process])
            view = self._events.view
            if view.version != seen and view.complete:
                seen = view.version
                events = {code: event.version for code, event in view.items.items()}
                if events != self._versions.events or not self._versions.at:
                    self._versions = Versions(process=process.id, at=_now_ms(), events=events)
                    await self._send(client, [self._versions])
            if self._told is not None and self._told.complete and now - swept >= _SWEEP_SECONDS:
                swept = now
                await self._remove(client, forgotten(self._told.items.values(), _now_ms()))
            await self.sleep(_LOOK_SECONDS)

    def _as_it_is(self) -> Process:
        waits = {
            "the events": not self._events.view.complete,
            "Cassandra": self._writer is not None and self._writer.waiting,
            "a rival role to end": not self._app.may_work.is_set() and not self._app.producer_only,
        }
        return replace(
            self._process,
            at=_now_ms(),
            partitions=self._partitions(),
            waits=tuple(what for what, waiting in waits.items() if waiting),
            lease=self._lease.held if self._lease is not None else None,
        )

    def _partitions(self) -> dict[str, tuple[int, ...]]:
        if self._app.producer_only or self._app.rebalancing:
            return {} if self._app.producer_only else self._process.partitions
        found: dict[str, list[int]] = {}
        with suppress(ConsumerNotStarted):
            for partition in sorted(self._app.consumer.assignment()):
                if partition.topic not in self._app.tables.changelog_topics:
                    name = partition.topic.removeprefix(self._settings.topic_prefix)
                    found.setdefault(name, []).append(partition.partition)
        return {topic: tuple(numbers) for topic, numbers in found.items()}

    async def _send(self, client: AIOKafkaProducer, entries: Iterable[Entry]) -> None:
        for one in entries:
            sent = client.send_and_wait(self._topic, msgspec.json.encode(one), one.key.encode())
            await asyncio.wait_for(sent, self._settings.connect_timeout)

    async def _remove(self, client: AIOKafkaProducer, keys: Iterable[str]) -> None:
        for key in keys:
            await asyncio.wait_for(
                client.send_and_wait(self._topic, None, key.encode()), self._settings.connect_timeout
            )

    async def _leave(self, client: AIOKafkaProducer) -> None:
        if self.should_stop:
            with suppress(KafkaError, TimeoutError):
                removing = self._remove(client, [self._process.key, self._versions.key])
                await asyncio.wait_for(removing, _FAREWELL_SECONDS / 2)


def _now_ms() -> int:
    return int(time.time() * 1000)
