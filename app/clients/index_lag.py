"""Looks every few seconds how far the index is behind what was classified."""

from __future__ import annotations

import logging
from typing import Any

from aiokafka.errors import KafkaError
from mode import Service

from app.clients.backlog import backlog
from app.errors import Unavailable
from app.roles import Role
from app.settings import Settings

_SECONDS = 3.0


class IndexLag(Service):
    """One of a manager; `records` is None until it is known, and while Kafka is away."""

    abstract = False
    logger = logging.getLogger("mode.index_lag")

    def __init__(self, settings: Settings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self.records: int | None = None

    @Service.task
    async def _look(self) -> None:
        while not self.should_stop:
            try:
                async with backlog(self._settings, [Role.INDEXER]) as look:
                    while not self.should_stop:
                        self.records = await look.records()
                        await self.sleep(_SECONDS)
            except (KafkaError, Unavailable, OSError, TimeoutError):
                self.records = None
                await self.sleep(_SECONDS)
