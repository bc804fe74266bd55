"""The events as a process knows them: a view of `events`, and the matcher made of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import msgspec

from app.clients.view import View
from app.domain import lately
from app.domain.events import Event
from app.domain.matcher import Matcher
from app.metrics import EVENTS_IN_FORCE
from app.settings import Settings
from app.topics import EVENTS, full_name

log = logging.getLogger(__name__)
MOST_MATCHERS = 16  # kept for records that came shortly after an edit


class KnownEvents:
    """Events by code, at their newest version."""

    def __init__(self, settings: Settings) -> None:
        self.view: View[Event] = View(settings, full_name(EVENTS, settings), msgspec.json.Decoder(Event).decode)
        self._matcher: Matcher | None = None
        self._matcher_version = -1
        self._lately: dict[str, Matcher] = {}
        self._lately_version = -1

    def matcher(self) -> Matcher:
        """The matcher over the events that collect now; made anew only when an event changed."""
        if self._matcher is None or self._matcher_version != self.view.version:
            self._matcher_version = self.view.version
            self._matcher = Matcher(self.view.items.values())
            EVENTS_IN_FORCE.set(len(self._matcher.events))
            for (code, keyword), why in self._matcher.unusable.items():
                log.warning("keyword passed over", extra={"code": code, "keyword": keyword, "why": why})
        return self._matcher

    async def matchers(self, texts: Iterable[str]) -> dict[str, Matcher]:
        """Matchers by the `lately` headers of records: over the events as they were at any of the versions there."""
        wanted = {text: lately.read(text) for text in texts if text}
        if any(not self._knows(code, max(versions)) for one in wanted.values() for code, versions in one.items()):
            await self.view.catch_up()
        if self._lately_version != self.view.version or len(self._lately) > MOST_MATCHERS:
            self._lately_version = self.view.version
            self._lately.clear()
        for text, versions in wanted.items():
            if text not in self._lately:
                self._lately[text] = self._widened(versions)
        return {text: self._lately[text] for text in wanted}

    def _knows(self, code: str, version: int) -> bool:
        event = self.view.items.get(code)
        return event is not None and event.version >= version

    def _widened(self, versions: Mapping[str, tuple[int, ...]]) -> Matcher:
        events = dict(self.view.items)
        for code, asked in versions.items():
            if (event := events.get(code)) is not None:
                events[code] = lately.widened(event, min(asked))
        return Matcher(events.values())

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
