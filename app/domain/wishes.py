"""Wishes that an event hear the past from a source itself, and what the ledger says became of them.

What is kept of the raw posts holds, of some sources, only what events of that time asked for; the source may find the
rest. `events.Rematch` is the wish, an `Interval` of the ledger with a `coverage.Wish` is how far it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from app.domain.coverage import Entry, Interval, how_far, intervals_of
from app.domain.events import Event, Rematch
from app.domain.heard import to_ms
from app.domain.reasons import LEAD_MS

State: TypeAlias = Literal["asked", "running", "waiting", "refused", "done"]

# A source that goes back less far than was asked for, by more than this, has lost something.
_LOST_MS = 60_000


class Heard(Struct, frozen=True, kw_only=True):
    """How far a source is with what an event wished to hear."""

    source: str
    version: int  # at which it was wished
    since: datetime
    state: State  # asked: no tracker has begun it; else as in `coverage.Wish`
    why: str = ""
    begins: datetime | None = None  # where the source's past does not reach back to `since`
    reached: datetime | None = None  # while it runs, where the source goes forward in time
    posts: int = 0  # that the source found

    @property
    def over(self) -> bool:
        """Whether nothing more will be done, by a tracker that is set up as the one that told it."""
        return self.state in ("refused", "done")


def source_wishes(event: Event) -> list[Rematch]:
    """The wishes of an event that ask a source, in their order."""
    return [wish for wish in event.rematches if wish.source]


def asked_ms(event: Event, wish: Rematch) -> int:
    """When it was wished, in milliseconds since 1970."""
    return to_ms(next((change.at for change in event.history if change.version == wish.version), wish.since))


def span_of(event: Event, wish: Rematch) -> tuple[int, int]:
    """What is to be heard: up to when the live path hears it in any case, where the event is new."""
    return to_ms(wish.since), asked_ms(event, wish) + LEAD_MS


def entry_of(entries: Iterable[Entry], code: str, wish: Rematch) -> Interval | None:
    """What the ledger has of a wish: of two trackers that have begun it, what the one has that came further."""
    told = (one for one in intervals_of(entries) if one.wish is not None and one.source == wish.source)
    found = [one for one in told if one.wish is not None and (one.wish.code, one.wish.version) == (code, wish.version)]
    return max(found, key=how_far, default=None)


def heard(event: Event, entries: Iterable[Entry]) -> list[Heard]:
    """How far each wish of an event is, in their order."""
    entries = list(entries) if event.rematches else []
    return [heard_by(wish, entry_of(entries, event.code, wish)) for wish in source_wishes(event)]


def heard_by(wish: Rematch, entry: Interval | None) -> Heard:
    """How far a wish is, by what the ledger has of it."""
    if entry is None or entry.wish is None:
        return Heard(source=wish.source, version=wish.version, since=wish.since, state="asked")
    told = entry.wish
    return Heard(
        source=wish.source,
        version=wish.version,
        since=wish.since,
        state=told.state,
        why=told.why,
        begins=_at(entry.since) if entry.since - to_ms(wish.since) > _LOST_MS else None,
        reached=_at(told.reached) if told.reached is not None and told.state != "done" else None,
        posts=entry.posts,
    )


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
