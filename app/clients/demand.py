"""What is asked of the cluster, read from Kafka once; a manager has the same in its views."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from app.clients.compacted import read_compacted
from app.clients.lags import Lags
from app.clients.rematches import decode_progress
from app.domain import coverage, lag, presence
from app.domain.events import Event
from app.domain.provisioning import Demand, demand
from app.settings import Settings
from app.topics import COVERAGE, EVENTS, PRESENCE, REMATCHES


async def read_demand(settings: Settings) -> Demand:
    """The demand as it is now; how long records have waited is not known by one look. Raises Unavailable."""
    events = await read_compacted(settings, EVENTS, msgspec.json.Decoder(Event).decode)
    progress = await read_compacted(settings, REMATCHES, decode_progress)
    ledger = await read_compacted(settings, COVERAGE, coverage.entry)
    told = await read_compacted(settings, PRESENCE, presence.entry)
    now = datetime.now(UTC)
    processes = presence.processes(told.values(), int(now.timestamp() * 1000))
    lags = Lags(settings, lambda: processes)
    posts = await lags.now()
    unread = None if posts is None else lag.unread(posts)
    return demand(events.values(), progress, ledger.values(), unread, {}, now, lags.unindexed or 0)
