"""How far the worker is: what it publishes on `activity`, beside what was sent."""

from __future__ import annotations

import time
from collections import deque

import msgspec
from msgspec import Struct

from app.clients.view import View
from app.demo.ledger import Ledger
from app.domain.activity import Activity, merge
from app.domain.classify import Intake
from app.settings import Settings
from app.topics import ACTIVITY, full_name

_INTAKE_KEY = "*"
_RATE_OVER = 5.0  # seconds

_decode_intake = msgspec.json.Decoder(Intake).decode
_decode_activity = msgspec.json.Decoder(Activity).decode


class Figures(Struct, frozen=True):
    """The stream at a moment. Posts by event count as often as they were sent."""

    seconds: float
    sent: int  # posts
    read: int
    matched: int  # of the ones read
    due: dict[str, int]  # rows by event: planted
    stored: dict[str, int]  # and stored
    rate: float  # posts stored or passed over, a second, lately
    done: bool

    @property
    def lag(self) -> int:
        """Posts that were sent and are not dealt with: not read, or read and not stored."""
        return max(0, self.sent - self.read) + max(0, sum(self.due.values()) - sum(self.stored.values()))

    @property
    def lag_seconds(self) -> float:
        """About how long the worker needs for these."""
        return self.lag / self.rate if self.rate else 0.0


class Watch:
    """Follows `activity`."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self.view: View[bytes] = View(settings, full_name(ACTIVITY, settings), bytes)
        self._ledger = ledger
        self._began = time.monotonic()
        self._past: deque[tuple[float, int]] = deque()
        self._moved_at = self._began
        self._last: tuple[int, int, int] = (0, 0, 0)

    def begin(self) -> None:
        """The stream starts now."""
        self._began = self._moved_at = time.monotonic()

    @property
    def still_seconds(self) -> float:
        """How long nothing has moved."""
        return time.monotonic() - self._moved_at

    def intake(self) -> Intake:
        """All lines that were read."""
        total = Intake()
        for key, value in self.view.items.items():
            if key.partition("|")[0] == _INTAKE_KEY:
                total.add(_decode_intake(value))
        return total

    def activity(self, code: str) -> Activity:
        """All posts of an event that were stored."""
        values = [value for key, value in self.view.items.items() if key.partition("|")[0] == code]
        return merge(_decode_activity(value) for value in values)

    def figures(self, *, finished: bool) -> Figures:
        """The stream now; done when all was sent, and all that was sent is read and stored."""
        ledger, intake, now = self._ledger, self.intake(), time.monotonic()
        due = {code: counts.posts for code, counts in ledger.counts.items()}
        stored = {code: self.activity(code).posts for code in due}
        reached = (ledger.lines, intake.lines, sum(stored.values()))
        if reached != self._last:
            self._last, self._moved_at = reached, now
        self._past.append((now, intake.posts))
        while len(self._past) > 2 and now - self._past[0][0] > _RATE_OVER:
            self._past.popleft()
        (before, posts), spent = self._past[0], now - self._past[0][0]
        return Figures(
            seconds=now - self._began,
            sent=ledger.posts,
            read=intake.posts,
            matched=intake.matched,
            due=due,
            stored=stored,
            rate=(intake.posts - posts) / spent if spent > 0 and now > before else 0.0,
            done=finished and intake.lines >= ledger.lines and all(stored[code] >= due[code] for code in due),
        )
