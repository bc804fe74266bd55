"""Writes down which sources are no longer among those that the settings name, and which are again."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from app.domain.coverage import Entry, Left, of_kind, statuses_of
from app.tracking.ledger import HOLDER


def changes(entries: Iterable[Entry], sources: Collection[str], now: int) -> list[tuple[str, Entry]]:
    """Entries, each with its key, that a tracker with these sources has to write when it takes over, at this moment."""
    entries = list(entries)
    told: list[tuple[str, Entry]] = [
        (one.key, msgspec.structs.replace(one, until=now))
        for one in of_kind(Left, entries)
        if one.until is None and one.source in sources
    ]
    for status in statuses_of(entries):
        if status.source in sources or status.state == "left":
            continue
        left = Left(source=status.source, since=now, holder=HOLDER)
        words = f"not among the STARLING_SOURCES of {HOLDER}, which has taken over"
        shown = msgspec.structs.replace(
            status, state="left", words=words, since=now, at=now, holder=HOLDER, events={}, refused={}
        )
        told += [(left.key, left), (status.source, shown)]
    return told
