"""Guards the posts that a source charges for: counted by month from the ledger, with a soft and a hard limit."""

from __future__ import annotations

import calendar
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from time import time

from app.domain.coverage import OVER_BUDGET, Interval, reads_in
from app.metrics import READS_FORECAST, READS_LIMIT, READS_MONTH
from app.settings import Settings

log = logging.getLogger(__name__)

PAID = ("x", "x-v1")


def month_of(seconds: float) -> str:
    """The month (UTC) in which a moment (seconds since 1970) lies, as "2026-11"."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m}"


class Budget:
    """The reads of one source. Starts from what the ledger holds, and is told of what comes to stand there late."""

    def __init__(self, settings: Settings, source: str, intervals: Iterable[Interval]) -> None:
        self._source = source
        self._paid = source in PAID
        self._soft = settings.x_reads_soft if self._paid else None
        self._hard = settings.x_reads_hard if self._paid else None
        self._month = month_of(time())
        self._began = int(time() * 1000)
        self._known = {one.key: one for one in intervals}
        self._reads = reads_in(self._month, self._known.values(), source)
        self._counted: dict[str, int] = {}  # of other months: a clock that was wrong may come back to one
        self._warned: set[str] = set()  # of what, this month

    @property
    def reads(self) -> int:
        """Posts read this month."""
        self._turn()
        return self._reads

    def read(self, posts: int) -> None:
        """Posts came."""
        self._turn()
        self._reads += posts

    def learn(self, intervals: Iterable[Interval]) -> None:
        """What was on disk when this began stands in the ledger by now. What began later was counted as it was read."""
        self._turn()
        known = self._known | {one.key: one for one in intervals if one.opened < self._began}
        before, now = (reads_in(self._month, some.values(), self._source) for some in (self._known, known))
        self._reads += now - before
        self._known = known

    def exceeded(self) -> str | None:
        """Why nothing more may be read this month; None if it may."""
        self._turn()
        if self._hard is None or self._reads < self._hard:
            return None
        return (
            f"{OVER_BUDGET}{self._reads:,} posts read in {self._month}, {self._hard:,} are allowed "
            "(STARLING_X_READS_HARD)"
        )

    def words(self) -> str:
        """What was read and what is to be expected, for a person; nothing where no limit is set."""
        self._turn()
        limit = self._soft if self._soft is not None else self._hard
        if limit is None:
            return ""
        forecast = self.forecast()
        expected = f", about {forecast:,} by its end" if forecast is not None else ""
        warning = f"; beyond the {limit:,} set" if self._reads > limit else ""
        if not warning and forecast is not None and forecast > limit:
            warning = f"; that is beyond the {limit:,} set"
        return f"{self._reads:,} posts read in {self._month}{expected}{warning}"

    def forecast(self) -> int | None:
        """Posts by the end of the month if it goes on as it did; None on its first day, which says too little."""
        now = datetime.fromtimestamp(time(), UTC)
        if now.day == 1:
            return None
        days = calendar.monthrange(now.year, now.month)[1]
        spent = (now.day - 1) + (now.hour + now.minute / 60) / 24
        return round(self._reads * days / spent)

    def watch(self) -> None:
        """Show how it stands, and warn once a month of each limit. To be called now and then while it is read."""
        self._turn()
        if not self._paid:
            return
        forecast = self.forecast()
        for limit, posts in (("soft", self._soft), ("hard", self._hard)):
            if posts is not None:
                READS_LIMIT.labels(self._source, limit).set(posts)
        READS_MONTH.labels(self._source).set(self._reads)
        READS_FORECAST.labels(self._source).set(self._reads if forecast is None else forecast)
        if self._soft is not None and self._reads > self._soft:
            self._warn("more posts were read this month than STARLING_X_READS_SOFT", self._soft)
        if self._hard is not None and forecast is not None and self._reads < self._hard < forecast:
            self._warn("this month's posts will reach STARLING_X_READS_HARD, and the source will be left", self._hard)

    def stop(self) -> None:
        """Show nothing any more: another tracker reads on."""
        if self._paid:
            READS_MONTH.labels(self._source).set(0)
            READS_FORECAST.labels(self._source).set(0)

    def _warn(self, what: str, limit: int) -> None:
        if what not in self._warned:
            self._warned.add(what)
            log.warning(what, extra={"source": self._source, "limit": limit, "read": self._reads})

    def _turn(self) -> None:
        month = month_of(time())
        if month != self._month:
            self._counted[self._month] = self._reads
            known = reads_in(month, self._known.values(), self._source)
            self._month, self._reads = month, self._counted.get(month, known)
            self._warned.clear()
