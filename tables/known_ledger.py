"""The ledger of what was heard as a process knows it: a view of `coverage`, and who has listened of late."""

from __future__ import annotations

from app.clients.view import View
from app.domain.coverage import Entry, entry
from app.domain.holders import Holders
from app.settings import Settings
from app.topics import COVERAGE, full_name


class KnownLedger:
    """Entries by key, and the holders that they tell of."""

    def __init__(self, settings: Settings) -> None:
        self.holders = Holders()
        self.view: View[Entry] = View(settings, full_name(COVERAGE, settings), self._noted)

    def _noted(self, value: bytes) -> Entry:
        one = entry(value)
        self.holders.note(one)
        return one
