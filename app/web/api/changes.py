"""Changes of events: each is a command that the event's manager decides on, and is answered when Kafka has it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from app.clients.event_commands import told_again
from app.domain.people import Right
from app.web import changing
from app.web.api.events import reply
from app.web.changing import Cloned, Edited, New, Started
from app.web.problems import Problem
from app.web.routes import Asked, Handler, Reply, Route
from app.web.showing import Shown


class Reasoned(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is done, for the history."""

    why: str = ""


class Purged(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That it is meant."""

    confirm: str  # the code of the event
    why: str = ""


class Owned(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All who own it."""

    owners: tuple[str, ...]
    why: str = ""


class Rematched(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when on the past is heard."""

    since: datetime
    source: str = ""  # "bluesky" or "x": that one is asked itself; else the raw posts that are kept are heard
    why: str = ""


class Refreshed(Struct, frozen=True):
    """How many events were told again, by how many partitions of managers."""

    events: int
    partitions: int


async def create(asked: Asked) -> Reply:
    """It collects at once, or from its start on, unless it is a draft."""
    event = await changing.create(asked, asked.body)
    return _made(reply(event, 201), event.code)


async def clone(asked: Asked) -> Reply:
    """A draft that selects the same; the posts of the original stay its own."""
    event = await changing.clone(asked, asked.body)
    return _made(reply(event, 201), event.code)


def _made(answer: Reply, code: str) -> Reply:
    return Reply(answer.body, answer.status, {**answer.headers, "Location": f"/api/v1/events/{code}"})


async def edit(asked: Asked) -> Reply:
    """Lists are replaced whole. With If-Match, 409 tells both versions where somebody was faster."""
    return reply(await changing.edit(asked, asked.body, asked.version))


async def own(asked: Asked) -> Reply:
    """Owners may delete and purge the event, and say who owns it."""
    return reply(await changing.own(asked, asked.body.owners, asked.body.why, asked.version))


async def start(asked: Asked) -> Reply:
    """Collect for a draft, a scheduled or a stopped event."""
    return reply(await changing.start(asked, asked.body, asked.version))


async def rematch(asked: Asked) -> Reply:
    """Match the raw posts that are kept since a moment once more; rows that stand stay as they are.

    With a source the tracker has a Jetstream replay what it still has (bluesky), or asks recent search, whose posts are
    paid for (x). How far it is: `GET …/rematch`.
    """
    how: Rematched = asked.body
    return reply(await changing.act(asked, "rematch", how.why, asked.version, how.since, how.source))


async def purge(asked: Asked) -> Reply:
    """Remove the event and every post collected for it, for good. 202 where that still goes on."""
    changing.confirm(asked, asked.body.confirm)
    code = asked.event.code
    if await changing.purge(asked, asked.body.why, asked.version):
        return Reply(None, 204)
    return reply(asked.desk.event(code), 202)


async def delete(asked: Asked) -> Reply:
    """Its posts stay, and its code stays taken; a purge removes both."""
    event = await changing.act(asked, "delete", asked.query.why, asked.version)
    return Reply(None, 204, {"ETag": reply(event).headers["ETag"]})


async def refresh(asked: Asked) -> Reply:
    """Have the managers tell every event again, whole, for who may have missed something."""
    answers = await asked.desk.refresh(asked.caller, asked.body.why)
    return Reply(Refreshed(told_again(answers), len(answers)))


def _action(action: Literal["pause", "resume", "stop", "archive"], about: str) -> Handler:
    async def change(asked: Asked) -> Reply:
        return reply(await changing.act(asked, action, asked.body.why, asked.version))

    change.__doc__ = about
    return change


_EVENTS = "/api/v1/events"
_ONE = "/api/v1/events/{code}"
_SHOWN = {200: Shown}
_MADE = {201: Shown, 409: Problem}
pause = _action("pause", "Collect no more until it is resumed.")
resume = _action("resume", "Collect again.")
stop = _action("stop", "End the collection.")
archive = _action("archive", "Put an event that is over aside.")

ROUTES = [
    Route("POST", _EVENTS, create, "events.create", "Create an event", Right.CREATE, body=New, answers=_MADE),
    Route(
        "PATCH",
        _ONE,
        edit,
        "events.edit",
        "Edit an event",
        Right.CHANGE,
        body=Edited,
        answers=_SHOWN,
        conditional=True,
    ),
    Route(
        "PUT",
        f"{_ONE}/owners",
        own,
        "events.own",
        "Say who owns an event",
        Right.OWN,
        body=Owned,
        answers=_SHOWN,
        conditional=True,
    ),
    Route(
        "POST",
        f"{_ONE}/start",
        start,
        "events.start",
        "Start an event",
        Right.CHANGE,
        body=Started,
        answers=_SHOWN,
        conditional=True,
    ),
    *(
        Route(
            "POST",
            f"{_ONE}/{name}",
            handler,
            f"events.{name}",
            f"{name.capitalize()} an event",
            Right.CHANGE,
            body=Reasoned,
            answers=_SHOWN,
            conditional=True,
        )
        for name, handler in (("pause", pause), ("resume", resume), ("stop", stop), ("archive", archive))
    ),
    Route(
        "POST",
        f"{_ONE}/rematch",
        rematch,
        "events.rematch",
        "Have an event hear the past",
        Right.CHANGE,
        body=Rematched,
        answers=_SHOWN,
        conditional=True,
    ),
    Route("POST", f"{_ONE}/clone", clone, "events.clone", "Clone an event", Right.CREATE, body=Cloned, answers=_MADE),
    Route(
        "DELETE",
        _ONE,
        delete,
        "events.delete",
        "Delete an event",
        Right.OWN,
        query=Reasoned,
        answers={204: None},
        conditional=True,
    ),
    Route(
        "POST",
        f"{_ONE}/purge",
        purge,
        "events.purge",
        "Purge an event",
        Right.OWN,
        body=Purged,
        answers={202: Shown, 204: None},
        conditional=True,
    ),
    Route(
        "POST",
        "/api/v1/refresh",
        refresh,
        "events.refresh",
        "Tell every event again",
        Right.CREATE,
        body=Reasoned,
        answers={200: Refreshed},
    ),
]
