"""Limits: how often something may be asked for, and how much of it at once, by whom."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from app.web.problems import Failed, too_many


class Limiter:
    """Lets `burst` requests of a key through at once, and then so many a minute. Remembers so many keys at most."""

    def __init__(self, a_minute: float, burst: int, most_keys: int = 10_000) -> None:
        self._rate = a_minute / 60
        self._burst = burst
        self._most = most_keys
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key -> tokens, when

    def take(self, key: str, now: float | None = None) -> float:
        """0 if it may go on, else the seconds until it may."""
        now = monotonic() if now is None else now
        tokens, since = self._filled.pop(key, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        self._filled[key] = (tokens - 1 if not wait else tokens, now)
        if len(self._filled) > self._most:
            self._filled.popitem(last=False)
        return wait


class Places:
    """Lets so many be in hand at once, and of one person only a part, so that nobody takes them all."""

    def __init__(self, what: str, most: int, of_one: int) -> None:
        self._what = what
        self._most = most
        self._of_one = of_one
        self._taken: Counter[str] = Counter()

    @contextmanager
    def of(self, who: str) -> Iterator[None]:
        """Hold a place. Raises Failed where there is none."""
        if self._taken[who] >= self._of_one:
            raise too_many(1, f"{self._of_one} {self._what} of yours are in hand")
        if self._taken.total() >= self._most:
            raise Failed(503, f"too many {self._what} at once", headers={"Retry-After": "5"})
        self._taken[who] += 1
        try:
            yield
        finally:
            self._taken[who] -= 1
            if not self._taken[who]:
                del self._taken[who]
