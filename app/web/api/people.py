"""Who works with Starling, for administrators."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from app.domain.people import Person, Rank, Right, check_own_name, newcomer, revoked
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


def everybody(asked: Asked) -> list[Shown]:
    """All people, by name."""
    found = sorted(asked.desk.views.people.items.values(), key=lambda person: person.name)
    return [_shown(person) for person in found]


def _shown(person: Person) -> Shown:
    return Shown(person.name, person.rank, person.added, person.by)


async def put(asked: Asked, name: str, rank: Rank) -> tuple[Person, bool]:
    """Give somebody a role; they, and whether they are new. Raises Failed, Unavailable."""
    try:
        known = asked.desk.views.people.items.get(name)
        person = replace(known, rank=rank) if known else newcomer(check_own_name(name), rank, asked.caller.name, _now())
    except ValueError as wrong:
        raise Failed(422, str(wrong), reason="invalid") from None
    asked.detail["role"] = rank
    if rank != "admin":
        _check_not_oneself(asked, name)
    await asked.desk.put_person(name, person)
    return person, known is None


async def take(asked: Asked, name: str) -> None:
    """Remove somebody. Raises Failed, Unavailable."""
    _known(asked, name)
    _check_not_oneself(asked, name)
    await asked.desk.put_person(name, None)


async def end(asked: Asked, name: str) -> None:
    """End their tokens and sessions. Raises Failed, Unavailable."""
    await asked.desk.put_person(name, revoked(_known(asked, name), _now()))


def token_of(asked: Asked, name: str, days: float) -> Token:
    """A token of somebody's. Raises Failed."""
    person = _known(asked, name)
    if ":" in name:
        raise Failed(422, f"{name} has tokens of an identity provider's", reason="invalid")
    lasts = timedelta(days=days)
    asked.detail["days"] = days
    made = asked.desk.door.issue(person, lasts.total_seconds())
    return Token(made, _now() + lasts)


def _known(asked: Asked, name: str) -> Person:
    person = asked.desk.views.people.items.get(name)
    if person is None:
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
]
