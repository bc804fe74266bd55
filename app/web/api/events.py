"""Events: the list, and one."""

from __future__ import annotations

from msgspec import Struct

from app.domain.events import Event, Status
from app.domain.listing import Order, listed
from app.web.routes import Asked, Reply, Route
from app.web.showing import Shown, shown


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
