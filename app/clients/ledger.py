"""The ledger of what was heard, and how the live sources are, read from outside."""

from __future__ import annotations

import time

from app.clients.compacted import read_compacted
from app.domain.coverage import Entry, SourceStatus, as_of, entry, statuses_of
from app.settings import Settings
from app.topics import COVERAGE


async def read_entries(settings: Settings) -> list[Entry]:
    """All that the ledger has, of all sources. Raises Unavailable."""
    return list((await read_compacted(settings, COVERAGE, entry)).values())


async def read_statuses(settings: Settings) -> list[SourceStatus]:
    """How each live source is now; none where no tracker has told yet. Raises Unavailable."""
    entries = await read_compacted(settings, COVERAGE, entry)
    now = int(time.time() * 1000)
    return sorted((as_of(one, now) for one in statuses_of(entries.values())), key=lambda status: status.source)
