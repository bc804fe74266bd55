"""The events as a process knows them: a view of `events`, and the matcher made of it."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

import msgspec

from app.clients.view import View
from app.domain import lately
from app.domain.events import Event, Policy
from app.domain.matcher import Matcher
from app.domain.records import RawRecord
from app.metrics import EVENTS_IN_FORCE
from app.settings import Settings
from app.topics import EVENTS, full_name

log = logging.getLogger(__name__)
MOST_MATCHERS = 16  # kept for records that were heard before the newest change, or shortly after it


class KnownEvents:
    """Events by code, at their newest version."""

    def __init__(self, settings: Settings) -> None:
        self.view: View[Event] = View(settings, full_name(EVENTS, settings), msgspec.json.Decoder(Event).decode)
        self._matcher: Matcher | None = None
        self._matcher_version = -1
        # By `lately`, by the event that a record is for alone, by how many changes had been made when it was heard, and
        # by whether it is of an archive.
        self._wider: dict[tuple[str, str, int, bool], Matcher] = {}
        self._wider_version = -1
        self._moments: list[int] = []

    def matcher(self) -> Matcher:
        """The matcher over the events that collect now; made anew only when an event changed."""
        if self._matcher is None or self._matcher_version != self.view.version:
            self._matcher_version = self.view.version
            self._matcher = Matcher(self.view.items.values())
            EVENTS_IN_FORCE.set(len(self._matcher.events))
            for (code, keyword), why in self._matcher.unusable.items():
                log.warning("keyword passed over", extra={"code": code, "keyword": keyword, "why": why})
        return self._matcher

    async def matcher_for(self, records: Iterable[RawRecord]) -> Callable[[RawRecord], Matcher]:
        """The matcher of each of these records: over the events as they were when it was wanted, and as they are now.

        Where a record names versions (`app.domain.lately`), also as they were at any of these.
        """
        texts = {record.lately for record in records if record.lately}
        named = [entry for text in texts for entry in lately.read(text).items()]
        if any(not self._knows(code, max(versions)) for code, versions in named):
            await self.view.catch_up()
        if self._wider_version != self.view.version:
            self._wider_version = self.view.version
            self._wider.clear()
            self._moments = lately.moments(self.view.items.values())
        return self._matcher_of

    def _matcher_of(self, record: RawRecord) -> Matcher:
        era = bisect_right(self._moments, record.wanted_at)
        if era == len(self._moments) and not record.lately and not record.event:
            return self.matcher()
        key = record.lately, record.event, era, record.origin == "import"
        found = self._wider.get(key)
        if found is None:
            if len(self._wider) >= MOST_MATCHERS:
                self._wider.clear()
            found = self._wider[key] = Matcher(self._as_heard(record))
        return found

    def _as_heard(self, record: RawRecord) -> Iterator[Event]:
        named = lately.read(record.lately)
        for code, event in self.view.items.items():
            if record.event not in ("", code):
                continue
            if record.event and code in named and max(named[code]) < event.born:
                continue  # it was imported for another event of the same code, which is purged
            heard = lately.as_heard(event, record.wanted_at)
            if record.origin == "import" and record.event:
                heard = lately.taking(heard)
            yield lately.widened(heard, min(named[code])) if code in named else heard

    def _knows(self, code: str, version: int) -> bool:
        event = self.view.items.get(code)
        return event is not None and event.version >= version

    async def at_least(self, code: str, version: int) -> Event | None:
        """The event at this version or a newer one; None if it is purged, whoever has its code now."""
        event = self.view.items.get(code)
        if event is None or event.version < version:
            # Another process has classified by a version that has not arrived here yet.
            await self.view.catch_up()
            event = self.view.items.get(code)
        return None if event is None or self.purged(code, version) else event

    def policy(self, code: str) -> Policy:
        """What becomes of posts of an event that their source takes back."""
        event = self.view.items.get(code)
        return "drop" if event is None else event.deletions

    def purged(self, code: str, version: int) -> bool:
        """Whether the event that had this version is being purged, or was."""
        event = self.view.items.get(code)
        return event is None or event.status == "purging" or version < event.born
