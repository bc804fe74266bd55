"""The events as a process knows them: a view of `events`, and the matcher made of it."""

from __future__ import annotations

import logging

import msgspec

from app.clients.view import View
from app.domain.events import Event
from app.domain.matcher import Matcher
from app.metrics import EVENTS_IN_FORCE
from app.settings import Settings
from app.topics import EVENTS, full_name

log = logging.getLogger(__name__)


class KnownEvents:
    """Events by code, at their newest version."""

    def __init__(self, settings: Settings) -> None:
        self.view: View[Event] = View(settings, full_name(EVENTS, settings), msgspec.json.Decoder(Event).decode)
        self._matcher: Matcher | None = None
        self._matcher_version = -1

    def matcher(self) -> Matcher:
        """The matcher over the events that collect now; made anew only when an event changed."""
        if self._matcher is None or self._matcher_version != self.view.version:
            self._matcher_version = self.view.version
            self._matcher = Matcher(self.view.items.values())
            EVENTS_IN_FORCE.set(len(self._matcher.events))
            for (code, keyword), why in self._matcher.unusable.items():
                log.warning("keyword passed over", extra={"code": code, "keyword": keyword, "why": why})
        return self._matcher

    async def at_least(self, code: str, version: int) -> Event | None:
        """The event at this version or a newer one; None if it is purged, whoever has its code now."""
        event = self.view.items.get(code)
        if event is None or event.version < version:
            # Another process has classified by a version that has not arrived here yet.
            await self.view.catch_up()
            event = self.view.items.get(code)
        return None if event is None or self.purged(code, version) else event

    def purged(self, code: str, version: int) -> bool:
        """Whether the event that had this version is being purged, or was."""
        event = self.view.items.get(code)
        return event is None or event.status == "purging" or version < event.born
