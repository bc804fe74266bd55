"""Events: the list, and one."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from app.domain.events import Box, Event, Status
from app.domain.listing import Order, listed
from app.web.routes import Asked, Reply, Route


class Shown(Struct, frozen=True, kw_only=True):
    """An event as the API shows it; its version is the ETag of what is asked for by code."""

    code: str
    name: str
    status: Status
    version: int
    keywords: tuple[str, ...]
    accounts: tuple[str, ...]
    boxes: tuple[Box, ...]
    languages: tuple[str, ...]
    start: datetime | None
    end: datetime | None
    owners: tuple[str, ...]
    changed_at: datetime | None  # last
    changed_by: str | None


def shown(event: Event) -> Shown:
    """An event as it is shown."""
    last = event.history[-1] if event.history else None
    fields = {name: getattr(event, name) for name in Shown.__struct_fields__ if hasattr(event, name)}
    return Shown(**fields, changed_at=last.at if last else None, changed_by=last.who if last else None)


class Wanted(Struct, frozen=True, kw_only=True):
    """Which events, in which order, which of them."""

    text: str = ""
    status: tuple[Status, ...] = ()
    sort: Order = "name"
    down: bool = False
    after: int = 0
    most: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.after <= 1_000_000 or not 1 <= self.most <= 1000:
            raise ValueError("after is from 0 on, most from 1 to 1000")


class Listed(Struct, frozen=True):
    """A part of the list."""

    events: list[Shown]
    all: int  # that were meant, on other pages too
    more: bool


async def every(asked: Asked) -> Reply:
    """Events whose code, name or keywords hold the text, without deleted ones unless these are asked for."""
    wanted: Wanted = asked.query
    found = listed(
        asked.desk.views.events.view.items.values(), wanted.text, wanted.status, wanted.sort, down=wanted.down
    )
    part = found[wanted.after : wanted.after + wanted.most]
    return Reply(Listed([shown(event) for event in part], len(found), wanted.after + len(part) < len(found)))


def reply(event: Event, status: int = 200) -> Reply:
    """An event with its version as ETag."""
    return Reply(shown(event), status, {"ETag": f'"{event.version}"'})


async def one(asked: Asked) -> Reply:
    """An event as it stands."""
    return reply(asked.event)


ROUTES = [
    Route("GET", "/api/v1/events", every, "events.list", "List events", query=Wanted, answers={200: Listed}),
    Route("GET", "/api/v1/events/{code}", one, "events.get", "Get an event", answers={200: Shown}),
]
