"""Limits: how often something may be asked for, by whom."""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic


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
