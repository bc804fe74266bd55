"""The audit log, for administrators."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from app.clients.audit import read_newest
from app.domain.audit import Audited
from app.domain.people import Right
from app.web.routes import Asked, Reply, Route

MOST_READ = 2000  # entries of a partition, the newest


class Which(Struct, frozen=True, kw_only=True):
    """Whose entries, about what."""

    who: str = ""
    action: str = ""  # how it begins
    target: str = ""
    most: Annotated[int, Meta(ge=1, le=1000)] = 100


class Entries(Struct, frozen=True):
    """Entries, the newest first."""

    entries: list[Audited]
    more: bool


async def newest(asked: Asked) -> Entries:
    """What the query asks for. Raises Unavailable."""
    which: Which = asked.query
    found = [
        one
        for one in await read_newest(asked.desk.settings, MOST_READ)
        if which.who in ("", one.who) and which.target in ("", one.target) and one.action.startswith(which.action)
    ]
    return Entries(found[: which.most], len(found) > which.most)


async def entries(asked: Asked) -> Reply:
    """Of the newest some thousands: who did what, when, from where, and what came of it."""
    return Reply(await newest(asked))


ROUTES = [
    Route("GET", "/api/v1/audit", entries, "audit.list", "The audit log", Right.ADMIN, Which, answers={200: Entries}),
]
