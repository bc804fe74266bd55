"""Tells a quiet keyword, a dead socket and a blind source apart.

Quiet: signs of life come, posts do not, and that is nothing unusual. Dead: no sign of life either. Blind: signs of life
come, but no posts for so long that, going by what is usual at this hour, it cannot be chance.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from msgspec import Struct, field

State: TypeAlias = Literal[
    "idle", "standing by", "connecting", "listening", "quiet", "blind", "waiting", "refused", "over budget", "left"
]

QUIET_SECONDS = 60.0
# With 30 posts usual in that time, silence by chance has a probability of 1e-13; posts come in bursts, so be careful.
BLIND_POSTS = 30.0
BLIND_SECONDS = 60.0
_LEARN = 0.2  # weight of a new hour's rate
_WINDOW = 60.0  # seconds, for the rate now
_ENOUGH = 600.0  # seconds of an hour that were heard, for it to teach anything


class Volumes(Struct):
    """Posts a second that are usual in each hour of the day (UTC), learned."""

    rates: dict[int, float] = field(default_factory=dict)

    def learn(self, hour: int, rate: float) -> None:
        """An hour has passed that had this rate."""
        known = self.rates.get(hour)
        self.rates[hour] = rate if known is None else known + _LEARN * (rate - known)

    def usual(self, hour: int) -> float:
        """What is usual in an hour: 0 as long as it is not known. An hour not heard yet is like its neighbours."""
        near = [self.rates[at % 24] for at in (hour, hour - 1, hour + 1) if at % 24 in self.rates]
        return near[0] if hour in self.rates else min(near, default=0.0)


class Watchdog:
    """Follows one connection, which is dead after `silent` seconds without a sign of life.

    All times are monotonic seconds, hours are those of the day.
    """

    def __init__(self, volumes: Volumes, now: float, hour: int, silent: float) -> None:
        self._volumes = volumes
        self._silent = silent
        self._hour = hour
        self._sign = self._post = self._hour_began = self._hour_reset = now
        self._hour_posts = 0
        self._recent: list[tuple[float, int]] = [(now, 0)]
        self._total = 0

    def sign(self, now: float) -> None:
        """Something came: a line, or a keep-alive."""
        self._sign = now

    def posts(self, count: int, now: float) -> None:
        """Posts came."""
        self._sign = self._post = now
        self._total += count
        self._hour_posts += count

    def selected(self, now: float) -> None:
        """The source was asked for other things: what was usual before says nothing any more."""
        self._volumes.rates.clear()
        self._begin_hour(self._hour, now)

    def tick(self, now: float, hour: int) -> None:
        """To be called about once a second."""
        if not self._recent or now - self._recent[-1][0] >= 1:
            self._recent.append((now, self._total))
        while len(self._recent) > 2 and now - self._recent[0][0] > _WINDOW:
            del self._recent[0]
        if hour != self._hour:
            if now - self._hour_began >= _ENOUGH:
                self._volumes.learn(self._hour, self._hour_posts / (now - self._hour_began))
            self._begin_hour(hour, now)

    def _begin_hour(self, hour: int, now: float) -> None:
        self._hour, self._hour_began, self._hour_posts = hour, now, 0

    @property
    def rate(self) -> float:
        """Posts a second in the last minute."""
        (began, before), (ended, after) = self._recent[0], self._recent[-1]
        return (after - before) / (ended - began) if ended > began else 0.0

    def is_dead(self, now: float) -> bool:
        """Whether the socket is to be given up."""
        return now - self._sign > self._silent

    def usual(self, now: float) -> float:
        """Posts a second to be expected: what is usual at this hour; in a first hour, what it had so far."""
        spent = self._post - self._hour_began
        so_far = self._hour_posts / spent if spent >= _ENOUGH else 0.0
        return self._volumes.usual(self._hour) or so_far

    def state(self, now: float) -> tuple[State, str]:
        """The state and a sentence that says it."""
        silence = now - self._post
        expected = self.usual(now) * silence
        if silence > BLIND_SECONDS and expected >= BLIND_POSTS:
            usual = f"where about {math.floor(expected):,} are usual: the source may be broken"
            return "blind", f"connected and alive, but no post for {words(silence)}, {usual}"
        if silence > QUIET_SECONDS:
            return "quiet", f"connected and alive; no post for {words(silence)}, which is not unusual"
        return "listening", f"{self.rate:.1f} posts a second"


def words(seconds: float) -> str:
    """A length of time for a person."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
