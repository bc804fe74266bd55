"""`/healthz`, `/readyz` and `/metrics` on the Faust web server of every role."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

import faust
from aiokafka.errors import KafkaError
from faust.sensors.prometheus import setup_prometheus_sensors
from faust.types import TP
from faust.web import Request, Response, View

from agents.indexing import Indexing
from app.clients.cassandra import Writer
from app.clients.kafka import first_offset
from app.health import Progress
from app.metrics import COMMIT_STALLED
from app.settings import Settings
from tables.known_events import KnownEvents

log = logging.getLogger(__name__)
INTERVAL = 2.0


def add_health(
    app: faust.App, settings: Settings, events: KnownEvents, writer: Writer | None, indexing: Indexing | None
) -> None:
    """Give the app its health pages.

    `/healthz`: 503 when commits stand still while there is more to read, unless it is known that Cassandra is
    awaited: a restart would not help. `/readyz`: 503 until the events view is complete and, where rows are written,
    Cassandra answers; a quiet stream changes neither.
    """
    setup_prometheus_sensors(app, pattern="/metrics")
    watches: list[_Watch] = []
    if not app.producer_only:
        watches.append(_Watch(settings, events, lambda: _of_agents(app)))
    if indexing is not None:
        watches.append(_Watch(settings, events, indexing.positions))

    @app.timer(INTERVAL)
    async def look() -> None:
        for watch in watches:
            try:
                await watch.look()
            except KafkaError as error:
                # Not known; and while Kafka is away, a restart would not help.
                log.warning("cannot look how far Kafka's topics are", extra={"why": repr(error)})
        COMMIT_STALLED.set(len(_stalled(watches)))

    @app.page("/healthz")
    async def healthz(view: View, request: Request) -> Response:
        waiting = writer is not None and writer.waiting
        stalled = _stalled(watches)
        healthy = waiting or not stalled
        return view.json({"healthy": healthy, "stalled": stalled}, status=200 if healthy else 503)

    @app.page("/readyz")
    async def readyz(view: View, request: Request) -> Response:
        waits = {"events view": not events.view.complete, "Cassandra": writer is not None and writer.waiting}
        waiting = [name for name, waits_for in waits.items() if waits_for]
        return view.json({"ready": not waiting, "waiting_for": waiting}, status=503 if waiting else 200)


def _of_agents(app: faust.App) -> dict[TP, int]:
    """Committed offsets of what the app's agents own."""
    owned = [tp for tp in app.consumer.assignment() if tp.topic not in app.tables.changelog_topics]
    return {tp: app.consumer._committed_offset.get(tp) or 0 for tp in owned}  # Faust shows it nowhere else


def _stalled(watches: list[_Watch]) -> list[str]:
    return list(dict.fromkeys(f"{tp.topic}:{tp.partition}" for watch in watches for tp in watch.stalled))


class _Watch:
    """Whether one group's reading in this process goes on; `committed` tells how far it is where it owns partitions."""

    def __init__(self, settings: Settings, events: KnownEvents, committed: Callable[[], dict[TP, int]]) -> None:
        self._settings = settings
        self._events = events
        self._committed = committed
        self._progress: Progress[TP] = Progress(settings.stall_seconds)
        self.stalled: list[TP] = []

    async def look(self) -> None:
        """Find out what stands still. Raises KafkaError, and what was known stays."""
        positions, now = await self._positions(), monotonic()
        self._progress.look(positions, now)
        unknown = [tp for tp in self._progress.stalled if not await self._probe(tp, *positions[tp])]
        self._progress.look(positions, now)  # as of then: for others too time has gone by, and they were not asked
        self.stalled = [tp for tp in self._progress.stalled if tp not in unknown]

    async def _probe(self, tp: TP, committed: int, end: int) -> bool:
        """Note where its next record is, if there is any; False where Kafka does not say."""
        try:
            there = await first_offset(self._settings, tp.topic, tp.partition, committed)
        except KafkaError as error:
            log.warning("cannot look whether there is more to read", extra={"partition": str(tp), "why": repr(error)})
            return False
        self._progress.empty(tp, committed, end if there is None else there)
        return True

    async def _positions(self) -> dict[TP, tuple[int, int]]:
        """Committed and end offsets. Raises KafkaError.

        The end is not asked of the consumer that reads: one that fetches nothing any more knows of nothing new.
        """
        committed = self._committed()
        ends = await self._events.view.ends(committed)
        return {tp: (committed[tp], end) for tp, end in ends.items()}
