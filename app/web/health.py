"""`/healthz`, `/readyz` and `/metrics` on the Faust web server of every role."""

from __future__ import annotations

import logging
from time import monotonic

import faust
from aiokafka.errors import KafkaError
from faust.sensors.prometheus import setup_prometheus_sensors
from faust.types import TP
from faust.web import Request, Response, View

from app.clients.cassandra import Writer
from app.clients.kafka import first_offset
from app.health import Progress
from app.metrics import COMMIT_STALLED
from app.settings import Settings
from tables.known_events import KnownEvents

log = logging.getLogger(__name__)
INTERVAL = 2.0


def add_health(app: faust.App, settings: Settings, events: KnownEvents, writer: Writer | None) -> None:
    """Give the app its health pages.

    `/healthz`: 503 when commits stand still while there is more to read, unless it is known that Cassandra is
    awaited: a restart would not help. `/readyz`: 503 until the events view is complete and, where rows are written,
    Cassandra answers; a quiet stream changes neither.
    """
    progress: Progress[TP] = Progress(settings.stall_seconds)
    lag = _Lag(app, settings, events)
    setup_prometheus_sensors(app, pattern="/metrics")

    stalled: list[str] = []

    @app.timer(INTERVAL)
    async def look() -> None:
        if app.producer_only:
            return
        try:
            positions = await lag.positions()
            progress.look(positions, monotonic())
            if progress.stalled and await lag.excuse(progress.stalled, positions):
                progress.look(positions, monotonic())
        except KafkaError as error:
            # Not known; and while Kafka is away, a restart would not help.
            log.warning("cannot look how far Kafka's topics are", extra={"why": repr(error)})
            return
        stalled[:] = [f"{tp.topic}:{tp.partition}" for tp in progress.stalled]
        COMMIT_STALLED.set(len(stalled))

    @app.page("/healthz")
    async def healthz(view: View, request: Request) -> Response:
        waiting = writer is not None and writer.waiting
        healthy = waiting or not stalled
        return view.json({"healthy": healthy, "stalled": stalled}, status=200 if healthy else 503)

    @app.page("/readyz")
    async def readyz(view: View, request: Request) -> Response:
        waits = {"events view": not events.view.complete, "Cassandra": writer is not None and writer.waiting}
        waiting = [name for name, waits_for in waits.items() if waits_for]
        return view.json({"ready": not waiting, "waiting_for": waiting}, status=503 if waiting else 200)


class _Lag:
    """What is committed of what there is, by partition that this process owns."""

    def __init__(self, app: faust.App, settings: Settings, events: KnownEvents) -> None:
        self._app = app
        self._settings = settings
        self._events = events
        self._empty: dict[TP, tuple[int, int]] = {}  # committed and end with no record between

    async def positions(self) -> dict[TP, tuple[int, int]]:
        """Committed and end offset. Raises KafkaError.

        The end is not asked of Faust's consumer: one that fetches nothing any more knows of nothing new.
        """
        consumer = self._app.consumer
        owned = [tp for tp in consumer.assignment() if tp.topic not in self._app.tables.changelog_topics]
        found = {}
        for partition, end in (await self._events.view.ends(owned)).items():
            committed = consumer._committed_offset.get(partition) or 0  # Faust shows it nowhere else
            found[partition] = (committed, end)
        return {tp: (at[1], at[1]) if self._empty.get(tp) == at else at for tp, at in found.items()}

    async def excuse(self, stalled: list[TP], positions: dict[TP, tuple[int, int]]) -> bool:
        """Whether there is nothing to read in some: expired records and marks of transactions leave empty offsets.

        These count as committed from now on. Raises KafkaError.
        """
        excused = False
        for tp in stalled:
            committed, end = positions[tp]
            if await first_offset(self._settings, tp.topic, tp.partition, committed) is None:
                self._empty[tp] = committed, end
                positions[tp] = end, end
                excused = True
        return excused
