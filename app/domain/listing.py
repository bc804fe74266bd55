"""Lists of events: which of them, in which order."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from app.domain.events import Event, Status

Order: TypeAlias = Literal["name", "code", "status", "changed"]
GONE: tuple[Status, ...] = ("deleted", "purging")
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


def listed(
    events: Iterable[Event],
    text: str = "",
    status: Collection[Status] = (),
    sort: Order = "name",
    *,
    down: bool = False,
) -> list[Event]:
    """The events that hold the text in code, name or a keyword and have one of these states; without deleted ones
    unless these are asked for."""
    sought = _plain(text)
    found = [
        event
        for event in events
        if (event.status in status if status else event.status not in GONE) and (not sought or _holds(event, sought))
    ]
    return sorted(sorted(found, key=lambda event: event.code), key=_KEYS[sort], reverse=down)


def _holds(event: Event, sought: str) -> bool:
    return any(sought in _plain(text) for text in (event.code, event.name, *event.keywords))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


_KEYS: dict[Order, Callable[[Event], Any]] = {
    "name": lambda event: _plain(event.name),
    "code": lambda event: event.code,
    "status": lambda event: event.status,
    "changed": lambda event: event.history[-1].at if event.history else _LONG_AGO,
}
