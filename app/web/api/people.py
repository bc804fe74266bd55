"""Who works with Starling, for administrators."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from app.domain.people import Person, Rank, Right, check_name, ranked, removed, revoked, to_end
from app.web.owning import check_owns_nothing
from app.web.problems import Failed, Problem
from app.web.routes import Asked, Reply, Route


class Shown(Struct, frozen=True):
    """A person."""

    name: str
    role: Rank
    added: datetime
    by: str


class Listed(Struct, frozen=True):
    """Everybody, by name."""

    people: list[Shown]


class Ranked(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody may do."""

    role: Rank


class Lasting(Struct, frozen=True, forbid_unknown_fields=True):
    """How long a token counts."""

    days: Annotated[float, Meta(gt=0, le=3650)] = 90.0


class Token(Struct, frozen=True):
    """A token, which is shown this once."""

    token: str
    expires: datetime


class Linked(Struct, frozen=True):
    """An address that signs in whoever opens it first, within a day."""

    link: str


def everybody(asked: Asked) -> list[Shown]:
    """All people, by name."""
    found = sorted(asked.desk.views.people.items.values(), key=lambda person: person.name)
    return [_shown(person) for person in found if person.here != "removed"]


def _shown(person: Person) -> Shown:
    return Shown(person.name, person.rank, person.added, person.by)


async def put(asked: Asked, name: str, rank: Rank) -> tuple[Person, bool]:
    """Give somebody a role; they, and whether they are new. Raises Failed, Unavailable."""
    asked.target, asked.detail["role"] = name[:200], rank
    now = _now()
    if rank != "admin":
        _check_not_oneself(asked, name)
    try:
        check_name(name)
        person = await asked.desk.people.change(name, lambda known: _ranked(asked, known, name, rank, now))
    except ValueError as wrong:
        raise Failed(422, str(wrong), reason="invalid") from None
    return person, person.added == now


def _ranked(asked: Asked, known: Person | None, name: str, rank: Rank, now: datetime) -> Person:
    if known is None or known.here == "removed":
        check_owns_nothing(asked.desk, name)
    return ranked(known, name, rank, asked.caller.name, now)


async def take(asked: Asked, name: str) -> None:
    """Remove somebody. Raises Failed, Unavailable."""
    _check_not_oneself(asked, name)
    await asked.desk.people.change(name, lambda known: removed(_to_end(asked, known, name), _now()))


async def end(asked: Asked, name: str) -> None:
    """End their tokens and sessions. Raises Failed, Unavailable."""
    await asked.desk.people.change(name, lambda known: revoked(_to_end(asked, known, name), _now()))


def _to_end(asked: Asked, known: Person | None, name: str) -> Person:
    return _there(to_end(known, name, asked.caller.name, _now()), name)


def token_of(asked: Asked, name: str, days: float) -> Token:
    """A token of somebody's. Raises Failed."""
    person = _own(asked, name)
    lasts = timedelta(days=days)
    asked.detail["days"] = days
    made = asked.desk.door.issue(person, lasts.total_seconds())
    return Token(made, _now() + lasts)


def link_of(asked: Asked, name: str) -> Linked:
    """A link that signs somebody in, once. Raises Failed."""
    return Linked(asked.desk.door.link(_own(asked, name)))


def _own(asked: Asked, name: str) -> Person:
    """Somebody who has tokens of ours. Raises Failed."""
    person = _known(asked, name)
    if ":" in name:
        raise Failed(422, f"{name} has tokens of an identity provider's", reason="invalid")
    return person


def _known(asked: Asked, name: str) -> Person:
    return _there(asked.desk.views.people.items.get(name), name)


def _there(person: Person | None, name: str) -> Person:
    if person is None or person.here == "removed":
        raise Failed(404, f"there is nobody called {name[:100]!r}", reason="unknown")
    return person


def _check_not_oneself(asked: Asked, name: str) -> None:
    if name == asked.caller.name:
        raise Failed(409, "another administrator must take your own rights away", reason="state")


def _now() -> datetime:
    return datetime.now(UTC)


async def every(asked: Asked) -> Reply:
    """All of them."""
    return Reply(Listed(everybody(asked)))


async def one(asked: Asked) -> Reply:
    """A person."""
    return Reply(_shown(_known(asked, asked.path["name"])))


async def rank(asked: Asked) -> Reply:
    """Add a person, or give them another role."""
    person, new = await put(asked, asked.path["name"], asked.body.role)
    return Reply(_shown(person), 201 if new else 200)


async def remove(asked: Asked) -> Reply:
    """Their tokens and sessions end with it."""
    await take(asked, asked.path["name"])
    return Reply(None, 204)


async def revoke(asked: Asked) -> Reply:
    """No token and no session that they have counts any more; new ones can be made."""
    await end(asked, asked.path["name"])
    return Reply(None, 204)


async def token(asked: Asked) -> Reply:
    """For `Authorization: Bearer`, and to sign in with."""
    return Reply(token_of(asked, asked.path["name"], asked.body.days), 201)


async def link(asked: Asked) -> Reply:
    """For a person to sign in with, in a browser or by `starling login`."""
    return Reply(link_of(asked, asked.path["name"]), 201)


_PEOPLE = "/api/v1/people"
_ONE = "/api/v1/people/{name}"
_ADMIN = Right.ADMIN
ROUTES = [
    Route("GET", _PEOPLE, every, "people.list", "List people", _ADMIN, answers={200: Listed}),
    Route("GET", _ONE, one, "people.get", "Get a person", _ADMIN, answers={200: Shown}),
    Route(
        "PUT",
        _ONE,
        rank,
        "people.rank",
        "Give a person a role",
        _ADMIN,
        body=Ranked,
        answers={200: Shown, 201: Shown, 409: Problem},
    ),
    Route("DELETE", _ONE, remove, "people.remove", "Remove a person", _ADMIN, answers={204: None, 409: Problem}),
    Route("POST", f"{_ONE}/revoke", revoke, "people.revoke", "End a person's tokens", _ADMIN, answers={204: None}),
    Route(
        "POST",
        f"{_ONE}/token",
        token,
        "people.token",
        "Make a token",
        _ADMIN,
        body=Lasting,
        answers={201: Token},
    ),
    Route(
        "POST",
        f"{_ONE}/link",
        link,
        "people.link",
        "Make a link that signs in",
        _ADMIN,
        answers={201: Linked, 422: Problem},
    ),
]
