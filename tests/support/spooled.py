"""Posts as a tracker spools them, and a lease that nobody else wants."""

from __future__ import annotations

import os

import orjson

from app.clients.view import View
from app.domain.coverage import Entry, entry
from app.domain.records import raw_headers
from app.settings import Settings
from app.topics import COVERAGE, RAW, full_name
from app.tracking.ledger import now_ms
from app.tracking.parcel import Parcel
from app.tracking.spool import Spool
from tests.support import tracking


def ledger_view(settings: Settings) -> View[Entry]:
    """What the ledger says; nothing, until it is started."""
    return View(settings, full_name(COVERAGE, settings), entry)


class Held:
    """A lease that nobody else wants."""

    sure = in_touch = True


def line(number: int, size: int = 100) -> bytes:
    """A post whose text no compression makes much smaller than its size."""
    return orjson.dumps(tracking.post(number, os.urandom(size).hex()))


def parcel(*lines: bytes) -> Parcel:
    """A record of posts of X that were heard now."""
    headers = raw_headers("x", "v2", now_ms(), "live", "c0ffee")
    return Parcel(RAW.name, b"\n".join(lines), headers, None, "x", now_ms(), len(lines), None, len(lines), "c0ffee")


def asked(*lines: bytes) -> Parcel:
    """A record of posts of X that were searched for now, as an event wished."""
    headers = raw_headers("x", "v2", now_ms(), "search", "wish-1", None, "flood")
    return Parcel(RAW.name, b"\n".join(lines), headers, None, "", now_ms(), 0, None, len(lines), "wish-1")


def drained(spool: Spool) -> list[Parcel]:
    """All that waits there, in its order; it is empty then."""
    found = []
    while not spool.empty:
        found += spool.first()
        spool.drop_first()
    return found
