"""When a line may go: at once, at a rate, or as fast as the posts' own times, times X."""

from __future__ import annotations

from typing import Protocol

from app.domain.posts import Control, Malformed, created_ms, read

# Being late by less is made up for; after a longer stall (Kafka away, laptop asleep) no burst follows.
STALL_SECONDS = 1.0
# Posts further apart are of other streams, or one of them has a wrong clock: nobody waits for that.
LONGEST_GAP_MS = 3_600_000


class Pace(Protocol):
    """Says how long each line has to wait; asked once a line, in order."""

    def wait(self, line: bytes, now: float) -> float:
        """Seconds from `now` until the line may go."""
        ...


class AtOnce:
    """As fast as Kafka takes them."""

    def wait(self, line: bytes, now: float) -> float:
        """No time at all."""
        return 0.0


class Rate:
    """A token bucket: so many lines a second, evenly."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._next: float | None = None

    def wait(self, line: bytes, now: float) -> float:
        """Seconds until the next token."""
        if self._next is None or now - self._next > STALL_SECONDS:
            self._next = now
        due = self._next
        self._next += self._interval
        return max(0.0, due - now)


class OwnTimes:
    """As the posts were made, `speed` times as fast. Lines without a time, and late ones, go at once."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._latest: int | None = None  # of the posts that went, ms
        self._due = 0.0  # when that one was due

    def wait(self, line: bytes, now: float) -> float:
        """Seconds until the post's time has come."""
        made = time_of(line)
        if made is None:
            return 0.0
        gap = None if self._latest is None else made - self._latest
        if gap is None or abs(gap) > LONGEST_GAP_MS:
            self._due = now
        elif gap <= 0:
            return 0.0
        else:
            self._due += gap / 1000 / self._speed
            if now - self._due > STALL_SECONDS:
                self._due = now
        self._latest = made
        return max(0.0, self._due - now)


def time_of(line: bytes) -> int | None:
    """When the (first) post of a line was made, ms since 1970; None where it says nothing of it."""
    try:
        found = read(line)
    except Malformed:
        return None
    return None if isinstance(found, Control) else created_ms(found[0]) if found else None
