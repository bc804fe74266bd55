"""How far a source has come that delivers its past first, as one does that resumes by a cursor.

What comes then happened before the connection was made. Until the source has caught up, it is heard up to the time of
the newest line that is kept, and not up to now.

A connection that lives and brings nothing may have nothing more to bring, or be stalled. Where lines are dated, silence
says that there is no more only after a line, and only of a time in which there may have been none: what it has not
brought of more than that, another line must bring.
"""

from __future__ import annotations

# So new is a line that has just happened: its way to us, and clocks that differ.
NEW_MS = 5_000
# The past comes without a pause; a sign of life after one says that there is no more of it.
PAUSE_SECONDS = 5.0
# For so long there may be no post in the past of a source whose lines are dated.
NEAR_MS = 60_000
# X's lines do not say when X has seen them, and X does not say that its past is through; five minutes of it, the most
# that there is, come in less than this.
UNTOLD_SECONDS = 60.0


class Past:
    """Of one connection. `reached` is in milliseconds since 1970, `now` in monotonic seconds.

    `dated`: its lines tell when the source saw them.
    """

    def __init__(self, since_ms: int, now: float, *, dated: bool = False) -> None:
        self.reached = since_ms
        self.through = False  # it has caught up
        self._dated = dated
        self._line = None if dated else now
        self._untold = float("inf") if dated else now + UNTOLD_SECONDS

    def heard(self, until_ms: int) -> int:
        """Up to when it is heard, if all that came until then is kept."""
        return until_ms if self.through else min(until_ms, self.reached)

    def line(self, now: float) -> None:
        """A line came."""
        self._line = now

    def sign(self, now: float, now_ms: int) -> None:
        """A sign of life came, and all lines before it are kept."""
        if self._line is not None and (not self._dated or now_ms - self.reached < NEAR_MS):
            self.through |= now - self._line >= PAUSE_SECONDS

    def tick(self, now: float) -> None:
        """To be called about once a second while the connection lasts."""
        self.through |= now >= self._untold

    def kept(self, seen_ms: int, now_ms: int) -> None:
        """All lines up to one that the source saw at this moment are kept."""
        self._untold = float("inf")
        self.reached = max(self.reached, min(seen_ms, now_ms))
        self.through |= now_ms - seen_ms < NEW_MS
