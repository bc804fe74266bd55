"""Which entries of the ledger that come from the disk are still to be told, and what of them.

Another tracker may have gone on meanwhile with what they tell: with a wish, or with a source that was left. What
stands in `coverage` by then is newer, and all that a tracker finds who takes over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from app.clients.view import View
from app.domain.coverage import Entry, Interval, by_several, entry, outdates, without
from app.domain.spans import Span
from app.topics import COVERAGE
from app.tracking.parcel import Parcel

_READ_SECONDS = 60.0


async def still_to_tell(parcels: Sequence[Parcel], coverage: View[Entry]) -> list[Parcel]:
    """The parcels without entries that what stands has outdated. Raises KafkaError, TimeoutError."""
    told = [_entry(parcel) for parcel in parcels]
    if any(one is not None and by_several(one) for one in told):
        async with asyncio.timeout(_READ_SECONDS):
            await coverage.catch_up()
    return [
        parcel for parcel, one in zip(parcels, told, strict=True) if one is None or not _outdated(parcel, one, coverage)
    ]


def without_lost(parcel: Parcel, lost: Sequence[Span]) -> bytes:
    """What a parcel says, without a claim to have heard what came at a time of which something is lost on disk."""
    told = _entry(parcel) if lost else None
    if not isinstance(told, Interval):
        return parcel.value
    for since, until in lost:
        told = without(told, since, until)
    return msgspec.json.encode(told)


def _outdated(parcel: Parcel, told: Entry, coverage: View[Entry]) -> bool:
    standing = (coverage.items.get(key) for key in ((parcel.key or b"").decode(), told.source))
    return any(outdates(one, told) for one in standing if one is not None)


def _entry(parcel: Parcel) -> Entry | None:
    """What it tells; None for posts, and for what another version has told: that claims nothing to this one."""
    if parcel.topic != COVERAGE.name:
        return None
    try:
        return entry(parcel.value)
    except msgspec.DecodeError:
        return None
