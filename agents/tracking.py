"""Tracking: live sources in, raw posts and the ledger of what was heard out; by one process at a time."""

from __future__ import annotations

import faust
import msgspec
from faust.web import Request, Response
from faust.web import View as WebView
from mode import Service

from app.clients.view import View
from app.domain.coverage import Entry, entry
from app.settings import Settings
from app.sources.opening import open_sources
from app.topics import COVERAGE, full_name
from app.tracking.history import History
from app.tracking.lease import Lease
from app.tracking.outbox import Outbox
from app.tracking.spool import Spool, claim
from app.tracking.tracker import Tracker
from tables.known_events import KnownEvents


def add_tracking(app: faust.App, settings: Settings, events: KnownEvents, lease: Lease) -> list[Service]:
    """The services that listen, in the order in which they start; and the page `/sources`."""
    sources = {source.name: source for source in open_sources(settings, events.matcher)}
    history = History(settings, sources)
    directory, _lock = claim(settings.spool)  # the lock is the process's, until its end
    spool = Spool(directory, settings.spool_megabytes * 1_000_000)
    coverage: View[Entry] = View(settings, full_name(COVERAGE, settings), entry)
    outbox = Outbox(settings, lease, spool, history, coverage)
    tracker = Tracker(settings, sources, lease, outbox, history, events.view, coverage)

    @app.page("/sources")
    async def page(view: WebView, request: Request) -> Response:
        """How each live source is, in words."""
        return view.json(
            {
                "lease": lease.held,
                "spooled_bytes": outbox.spooled,
                "sources": [msgspec.to_builtins(status) for status in tracker.statuses()],
            }
        )

    return [coverage, lease, outbox, tracker]
