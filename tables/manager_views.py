"""What a manager follows: the views that its agents, the pages and the API share."""

from __future__ import annotations

from typing import Any

from app.clients.exports import Entry as ExportEntry
from app.clients.exports import decode_entry
from app.clients.people import people_view
from app.clients.rematches import decode_progress
from app.clients.view import WATCHED_MS, View
from app.domain import notices, presence
from app.domain.letters import Replayed, replayed
from app.domain.newest import Newest, newest, replaces
from app.domain.people import Person
from app.domain.rematch import Progress
from app.settings import Settings
from app.topics import (
    EXPORTS,
    MUTES,
    NEWEST,
    NOTICES,
    PRESENCE,
    REMATCHES,
    REPLAYED_LETTERS,
    SPENT_TOKENS,
    full_name,
)
from tables.known_activity import KnownActivity
from tables.known_events import KnownEvents
from tables.known_ledger import KnownLedger
from tables.known_trends import KnownTrends


class ManagerViews:
    """One of a process."""

    def __init__(self, settings: Settings, events: KnownEvents, ledger: KnownLedger) -> None:
        self.events = events
        self.heard = ledger.view
        self.activity = KnownActivity(settings)
        self.trends = KnownTrends(settings, self.activity)
        self.rematches: View[Progress] = View(settings, full_name(REMATCHES, settings), decode_progress)
        self.processes: View[presence.Entry] = View(settings, full_name(PRESENCE, settings), presence.entry)
        self.exports: View[ExportEntry] = View(settings, full_name(EXPORTS, settings), decode_entry)
        self.newest: View[Newest] = View(settings, full_name(NEWEST, settings), newest, replaces, wait_ms=WATCHED_MS)
        self.replayed: View[Replayed] = View(settings, full_name(REPLAYED_LETTERS, settings), replayed)
        self.notices: View[notices.Entry] = View(settings, full_name(NOTICES, settings), notices.entry)
        self.mutes: View[notices.Mute] = View(settings, full_name(MUTES, settings), notices.decode_mute)
        self.people: View[Person] = people_view(settings)
        self.spent_tokens: View[bytes] = spent_tokens(settings)

    @property
    def own(self) -> list[View[Any]]:
        """Those that nobody but a manager follows."""
        return [
            *(self.activity.view, self.rematches, self.processes, self.exports, self.newest, self.replayed),
            *(self.trends.view, self.notices, self.mutes, self.people, self.spent_tokens),
        ]

    @property
    def incomplete(self) -> list[str]:
        """Topics that are not read whole yet: what is shown of them would be only a part."""
        every: list[View[Any]] = [self.events.view, self.heard, *self.own]
        return [view.topic for view in every if not view.complete]


def spent_tokens(settings: Settings) -> View[bytes]:
    """Links that have signed somebody in and sessions that are ended, each with the mark of who noted it first."""
    return View(settings, full_name(SPENT_TOKENS, settings), bytes, lambda later, first: False)
