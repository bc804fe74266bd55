"""Writes down the times in which a source has no connection, and why: an entry for each reason, not for each try."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.coverage import CONTINUED, TOLD_MS, Outage

# Entries of one time without a connection. A server that fails in another way each time shall not fill the ledger.
MOST = 50
CHANGING = "one reason after the other, as the tracker's log has them"


class Outages:
    """Of one source. `now` is in milliseconds since 1970, `at` the same moment, monotonic."""

    def __init__(self, source: str, tell: Callable[[Outage], None]) -> None:
        self._source = source
        self._tell = tell
        self._lasting: Outage | None = None
        self._count = 0
        self._told = 0.0

    def say(self, why: str, generation: int, now: int, at: float) -> None:
        """There is no connection, for this reason."""
        why = why if self._count < MOST else CHANGING
        lasting = self._known(at)
        if lasting is not None and lasting.why == why:
            self.go_on(now, at)
            return
        if lasting is not None:
            self._end(lasting, CONTINUED, now)
        self._count += 1
        self._told = at
        self._lasting = Outage(source=self._source, since=now, until=now, why=why, generation=generation)
        self._tell(self._lasting)

    def go_on(self, now: int, at: float) -> None:
        """It is as it was."""
        if (lasting := self._known(at)) is not None:
            self._told = at
            lasting.until = max(now, lasting.until)
            self._tell(lasting)

    def over(self, ended: str, now: int, at: float) -> None:
        """It is over: there is a connection, or none is needed."""
        self._count = 0
        if (lasting := self._known(at)) is not None:
            self._end(lasting, ended, now)

    def _known(self, at: float) -> Outage | None:
        """The one that lasts. Of the time after too long without a word nothing is known: the process was frozen."""
        if self._lasting is not None and at - self._told >= TOLD_MS / 1000:
            self._lasting = None
        return self._lasting

    def _end(self, lasting: Outage, ended: str, now: int) -> None:
        lasting.until = max(now, lasting.until)
        lasting.ended = ended
        self._tell(lasting)
        self._lasting = None
