"""What an event was: every change of it, and how it stood at a moment."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from app.domain.events import Change
from app.domain.tracked import Tracked, tracked_at
from app.web.problems import Failed
from app.web.routes import Asked, Reply, Route


class Part(Struct, frozen=True, kw_only=True):
    """Which changes: those before a version, the newest first."""

    before: Annotated[int, Meta(ge=1)] | None = None
    most: Annotated[int, Meta(ge=1, le=1000)] = 100


class Changes(Struct, frozen=True):
    """Changes, the newest first."""

    changes: list[Change]
    more: bool


class Moment(Struct, frozen=True):
    """When: ISO 8601 with its zone, 2026-09-03T14:00:00Z."""

    moment: Annotated[datetime, Meta(tz=True)]


def changes(history: tuple[Change, ...], part: Part) -> tuple[list[Change], bool]:
    """A part of a history, the newest first, and whether there is more."""
    found = [one for one in reversed(history) if part.before is None or one.version < part.before]
    return found[: part.most], len(found) > part.most


def at(asked: Asked, moment: datetime) -> Tracked:
    """How the event of the path stood. Raises Failed."""
    found = tracked_at(asked.event, moment)
    if found is None:
        raise Failed(404, f"event {asked.event.code!r} did not exist then", reason="unknown")
    return found


async def every(asked: Asked) -> Reply:
    """Who changed what, when, why, from and to."""
    found, more = changes(asked.event.history, asked.query)
    return Reply(Changes(found, more))


async def then(asked: Asked) -> Reply:
    """What was it looking for then? 404 where it did not exist."""
    return Reply(at(asked, asked.query.moment))


_ONE = "/api/v1/events/{code}"
ROUTES = [
    Route("GET", f"{_ONE}/history", every, "events.history", "Changes of an event", query=Part, answers={200: Changes}),
    Route("GET", f"{_ONE}/at", then, "events.at", "An event at a moment", query=Moment, answers={200: Tracked}),
]
