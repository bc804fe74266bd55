"""How an event stood at a moment: what was it looking for on 3 September at 14:00?"""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct

from app.domain.events import Box, Change, Event, Status

_UNTOLD = ("create", "reshard", "rematch")  # actions that may change no field of those below


class Tracked(Struct, frozen=True, kw_only=True):
    """An event as it stood from `since` to `until`; that is null where it still stands so."""

    version: int
    since: datetime
    until: datetime | None
    by: str  # who made it so
    whole: bool  # false: of an event with very many changes the history does not tell all that came later
    name: str
    status: Status
    keywords: tuple[str, ...]
    accounts: tuple[str, ...]
    boxes: tuple[Box, ...]
    languages: tuple[str, ...]
    start: datetime | None
    end: datetime | None

    @property
    def collecting(self) -> bool:
        """Whether posts were classified for it then."""
        return self.status == "active"


_FIELDS = ("name", "status", "keywords", "accounts", "boxes", "languages", "start", "end")


def tracked_at(event: Event, moment: datetime) -> Tracked | None:
    """How it stood at that moment; None before it was created."""
    last = max((at for at, change in enumerate(event.history) if change.at <= moment), default=None)
    if last is None:
        return None
    fields = {name: getattr(event, name) for name in _FIELDS}
    later = event.history[last + 1 :]
    for change in reversed(later):
        fields |= {name: was for name, (was, _) in change.changed.items() if name in fields}
    made = event.history[last]
    until = later[0].at if later else None
    whole = all(_tells(change) for change in later)
    said = {"version": made.version, "since": made.at, "until": until, "by": made.who, "whole": whole}
    return msgspec.convert(fields | said, Tracked)


def _tells(change: Change) -> bool:
    return bool(change.changed) or change.action in _UNTOLD
