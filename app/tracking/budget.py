"""Guards the posts that a source charges for: counted by month from the ledger, with a soft and a hard limit."""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from app.domain.coverage import Interval, reads_in
from app.settings import Settings

PAID = ("x", "x-v1")


def month_of(seconds: float) -> str:
    """The month (UTC) in which a moment (seconds since 1970) lies, as "2026-11"."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m}"


class Budget:
    """The reads of one source. Starts from what the ledger holds."""

    def __init__(self, settings: Settings, source: str, intervals: Iterable[Interval]) -> None:
        self._source = source
        self._soft = settings.x_reads_soft if source in PAID else None
        self._hard = settings.x_reads_hard if source in PAID else None
        self._month = month_of(time.time())
        self._reads = reads_in(self._month, intervals, source)

    def read(self, posts: int) -> None:
        """Posts came."""
        self._turn()
        self._reads += posts

    def exceeded(self) -> str | None:
        """Why nothing more may be read this month; None if it may."""
        self._turn()
        if self._hard is None or self._reads < self._hard:
            return None
        return (
            f"budget: {self._reads:,} posts read in {self._month}, {self._hard:,} are allowed (STARLING_X_READS_HARD)"
        )

    def words(self) -> str:
        """What was read and what is to be expected, for a person; nothing where no limit is set."""
        self._turn()
        limit = self._soft if self._soft is not None else self._hard
        if limit is None:
            return ""
        forecast = self.forecast()
        warning = f"; beyond the {limit:,} set" if self._reads > limit else ""
        if not warning and forecast > limit:
            warning = f"; that is beyond the {limit:,} set"
        return f"{self._reads:,} posts read in {self._month}, about {forecast:,} by its end{warning}"

    def forecast(self) -> int:
        """Posts by the end of the month if it goes on as it did."""
        now = datetime.now(UTC)
        days = calendar.monthrange(now.year, now.month)[1]
        spent = (now.day - 1) + (now.hour + now.minute / 60) / 24
        return round(self._reads * days / spent) if spent > 0 else self._reads

    def _turn(self) -> None:
        month = month_of(time.time())
        if month != self._month:
            self._month, self._reads = month, 0
