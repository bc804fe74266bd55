"""What people were told of, how those who are told do, and what nobody is to be told."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from agents.sending import Outgoing
from app.domain.notices import (
    Kind,
    Mute,
    Notice,
    Outcome,
    Receiver,
    check_mute,
    notices_of,
    outcomes,
    receivers_of,
)
from app.domain.people import Right
from app.topics import MUTES, full_name
from app.web.catching_up import caught_up, caught_up_first
from app.web.problems import Failed, Problem
from app.web.routes import Asked, Reply, Route


class Some(Struct, frozen=True):
    """How many of the newest."""

    most: Annotated[int, Meta(ge=1, le=2000)] = 50


class Told(Struct, frozen=True):
    """A notice, and what became of it at each who is told."""

    notice: Notice
    outcomes: dict[str, Outcome]


class Listed(Struct, frozen=True):
    """The newest notices, and how those who are told do."""

    notices: list[Told]
    receivers: list[Receiver]


class Muted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What nobody is to be told: of an event, of a kind, or of anything."""

    event: str = ""
    kind: Kind | Literal[""] = ""
    until: Annotated[datetime, Meta(tz=True)] | None = None
    why: str = ""


class Mutes(Struct, frozen=True):
    """Those that hold, the newest first."""

    mutes: list[Mute]


def listed(asked: Asked, most: int) -> Listed:
    """The newest notices."""
    items = asked.desk.views.notices.items
    became = outcomes(items.values())
    found = notices_of(items.values())[:most]
    return Listed([Told(one, became.get(one.id, {})) for one in found], receivers_of(items.values()))


def standing(asked: Asked) -> list[Mute]:
    """The mutes that hold now."""
    now = datetime.now(UTC)
    held = [one for one in asked.desk.views.mutes.items.values() if not one.over(now)]
    return sorted(held, key=lambda one: one.at, reverse=True)


def may_mute(asked: Asked, event: str, kind: Kind | Literal[""]) -> bool:
    """Whether the caller may mute this, and end that: who may change the event. What concerns every event, or what
    is paid, is an administrator's.
    """
    known = asked.desk.views.events.view.items.get(event)
    right = Right.CHANGE if event and kind != "budget" else Right.ADMIN
    return asked.caller.may(right, known.owners if known is not None else ())


def _check(asked: Asked, event: str, kind: Kind | Literal[""]) -> None:
    if not may_mute(asked, event, kind):
        raise Failed(
            403, "name an event that you may change, and not the budget: an administrator mutes what is of any event"
        )


async def add(asked: Asked, wish: Muted) -> Mute:
    """Have a mute hold. Raises Failed, Unavailable."""
    _check(asked, wish.event, wish.kind)
    now = datetime.now(UTC)
    if wish.event:
        asked.desk.event(wish.event)
    made = Mute(
        id=secrets.token_hex(4),
        at=now,
        who=asked.caller.name,
        event=wish.event,
        kind=wish.kind,
        until=wish.until,
        why=wish.why,
    )
    try:
        check_mute(made)
    except ValueError as wrong:
        raise Failed(422, str(wrong), reason="invalid") from None
    asked.target = made.event
    asked.detail |= {"mute": made.id, "kind": made.kind}
    await _put(asked, made.id, msgspec.json.encode(made))
    return made


async def remove(asked: Asked, name: str) -> None:
    """End a mute. Raises Failed, Unavailable."""
    mute = asked.desk.views.mutes.items.get(name)
    if mute is None:
        raise Failed(404, f"there is no mute {name[:40]!r}", reason="unknown")
    _check(asked, mute.event, mute.kind)
    asked.detail["mute"] = name
    await _put(asked, name, None)


async def _put(asked: Asked, name: str, value: bytes | None) -> None:
    desk = asked.desk
    seconds = desk.settings.command_timeout
    await caught_up_first(desk.views.mutes, seconds)
    await desk.tell(Outgoing(full_name(MUTES, desk.settings), name.encode(), value))
    await caught_up(desk.views.mutes, seconds)


async def every(asked: Asked) -> Reply:
    """The newest first."""
    return Reply(listed(asked, asked.query.most))


async def mutes(asked: Asked) -> Reply:
    """What nobody is told of now."""
    return Reply(Mutes(standing(asked)))


async def mute(asked: Asked) -> Reply:
    """Notices that it covers are listed, and sent to nobody. Of any event, or the budget: by administrators."""
    return Reply(await add(asked, asked.body), 201)


async def unmute(asked: Asked) -> Reply:
    """End a mute."""
    await remove(asked, asked.path["id"])
    return Reply(None, 204)


ROUTES = [
    Route("GET", "/api/v1/notices", every, "notices.list", "List notices", query=Some, answers={200: Listed}),
    Route("GET", "/api/v1/mutes", mutes, "mutes.list", "List mutes", answers={200: Mutes}),
    Route("POST", "/api/v1/mutes", mute, "mutes.add", "Mute", body=Muted, answers={201: Mute, 404: Problem}),
    Route("DELETE", "/api/v1/mutes/{id}", unmute, "mutes.remove", "End a mute", answers={204: None}),
]
