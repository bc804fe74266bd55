"""Asks Cassandra's nodes now and then whether they answer: `OPTIONS` of its native protocol, which needs no session."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from mode import Service

from app.clients.cassandra import ssl_context
from app.domain.reach import Reach
from app.settings import Settings

_SECONDS = 4.0
_OPTIONS = bytes((4, 0, 0, 0, 5, 0, 0, 0, 0))  # version 4, no flags, stream 0, opcode OPTIONS, no body
_SUPPORTED = 6


class CassandraReach(Service):
    """Whether at least one node answers."""

    abstract = False
    logger = logging.getLogger("mode.cassandra_reach")

    def __init__(self, settings: Settings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self.reach = Reach()

    @Service.task
    async def _ask(self) -> None:
        while not self.should_stop:
            why = await unanswered(self._settings)
            self.reach = self.reach.asked(int(time.time() * 1000), why or "")
            await self.sleep(_SECONDS)


async def unanswered(settings: Settings) -> str | None:
    """Why no node answers; None if one does."""
    why = ""
    for place in settings.cassandra.split(","):
        host, _, port = place.rpartition(":")
        try:
            async with asyncio.timeout(settings.connect_timeout):
                await _options(host.strip("[]"), int(port), settings)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            why = why or f"{place}: {_words(error)}"
        else:
            return None
    return why


async def _options(host: str, port: int, settings: Settings) -> None:
    """Raises OSError, IncompleteReadError."""
    context = ssl_context(settings)
    name = settings.cassandra_tls_name or host if context else None
    reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
    try:
        writer.write(_OPTIONS)
        await writer.drain()
        header = await reader.readexactly(9)
        if header[4] != _SUPPORTED:
            raise ConnectionError("it speaks another protocol")
    finally:
        writer.close()


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
