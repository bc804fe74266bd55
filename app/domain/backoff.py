"""How long to wait before the next try to connect, by the kind of trouble.

X's rules ("Handling disconnections"): a connection that ended is tried again at once; a network error after 0.25 s more
each time, up to 16 s; an HTTP error after 5 s, doubled each time up to 320 s; 420 and 429 after a minute, doubled each
time. They suit every source.
"""

from __future__ import annotations

from enum import StrEnum
from random import Random

from msgspec import Struct


class Trouble(StrEnum):
    """Kinds of broken connections; each has its own rule for the next try."""

    ENDED = "ended"  # it was heard and then ended, by whom ever: try again at once
    DISCONNECTED = "disconnected"  # the source has said that it ends it: the same, but not one time after the other
    STALLED = "stalled"  # the connection lived, and brought nothing of what it was to bring
    NETWORK = "network"  # no connection could be made
    HTTP = "http"  # the server answered with an error
    RATE = "rate"  # 420, 429: too many attempts
    CONNECTIONS = "connections"  # another connection of the same account is in the way
    DENIED = "denied"  # 401, 403: trying again does not help until a person has acted


class _Rule(Struct, frozen=True):
    first: float
    most: float
    step: float | None = None  # added each time; None: doubled each time


_RULES = {
    Trouble.ENDED: _Rule(0.25, 16, step=0.25),
    # It took a minute to see, and who goes on by a cursor loses nothing by a second one.
    Trouble.STALLED: _Rule(5, 60),
    Trouble.NETWORK: _Rule(0.25, 16, step=0.25),
    Trouble.HTTP: _Rule(5, 320),
    # X does not say that it ends a connection because another program has made one. Two that come back at once would
    # go on ending each other's.
    Trouble.DISCONNECTED: _Rule(5, 320),
    Trouble.CONNECTIONS: _Rule(5, 320),
    Trouble.RATE: _Rule(60, 900),
    # A token that a person has mended is noticed within a quarter of an hour.
    Trouble.DENIED: _Rule(60, 900),
}
# A connection that was heard this long was a good one. X's keep-alives come every 20 s, so this one had some.
HEARD_ENOUGH = 60.0
# Some of X's limits are of a day; more seconds than that are of a wrong clock, or no seconds.
MOST_ASKED = 86_400.0
_JITTER = 0.1  # of the wait, on top: what is documented is the least that X wants


class Backoff:
    """Waits of one source. Remembers how often a try of each kind has failed since it was last heard well."""

    def __init__(self, rng: Random | None = None) -> None:
        self._rng = rng if rng is not None else Random()  # noqa: S311 -- no secret
        self._failed: dict[Trouble, int] = {}

    def after(self, trouble: Trouble, *, heard: float = 0.0, retry_after: float | None = None) -> float:
        """Seconds to wait after this trouble; `heard`: how long the connection was heard before it (0: not at all).

        Never less than the rule of the trouble and `retry_after` ask for, and at most a tenth more; of the latter what
        is beyond MOST_ASKED counts as not said. A connection that was heard for
        HEARD_ENOUGH forgets all earlier trouble; one that ended sooner or was stalled does not, so that a server which
        accepts and drops at once is asked more and more seldom.
        """
        if heard >= HEARD_ENOUGH and trouble is not Trouble.STALLED:
            self._failed.clear()
        times = self._failed.get(trouble, 0)
        self._failed[trouble] = times + 1
        wait = max(self._ruled(trouble, times), _plausible(retry_after))
        return wait * (1 + self._rng.random() * _JITTER)

    @staticmethod
    def _ruled(trouble: Trouble, times: int) -> float:
        if trouble in (Trouble.ENDED, Trouble.DISCONNECTED):
            if times == 0:
                return 0.0
            times -= 1
        rule = _RULES[trouble]
        # The exponent is bound: a source may be away for weeks, and a float is not without end.
        wait = rule.first + rule.step * times if rule.step is not None else rule.first * 2.0 ** min(times, 30)
        return min(wait, rule.most)


def _plausible(retry_after: float | None) -> float:
    return retry_after if retry_after is not None and retry_after <= MOST_ASKED else 0.0
