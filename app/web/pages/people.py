"""People and the audit log, for administrators."""

from __future__ import annotations

from msgspec import Struct

from app.domain.people import RANKS, Rank, Right
from app.web.api import people
from app.web.api.auditing import Which, newest
from app.web.problems import Failed
from app.web.routes import Asked, Handler, Page, Redirect, Route


class Named(Struct, frozen=True):
    """A person, and what they may do."""

    name: str
    role: Rank = "viewer"


class Lasting(Struct, frozen=True):
    """How many days a token counts."""

    days: float = 90.0


async def page(asked: Asked) -> Page:
    """Everybody."""
    return _page(asked)


def _page(asked: Asked, wrong: str = "", status: int = 200, **shown: object) -> Page:
    found = {"people": people.everybody(asked), "ranks": RANKS, "wrong": wrong, "made": None, "of": "", **shown}
    return Page("people.html", found, status)


async def put(asked: Asked) -> Page | Redirect:
    """Add somebody, or give them another role."""
    named: Named = asked.body
    try:
        person, new = await people.put(asked, named.name.strip(), named.role)
    except Failed as failed:
        return _page(asked, failed.problem.detail, failed.problem.status)
    return Redirect("/people", f"{person.name} is {'added: ' if new else 'now '}{person.rank}.")


async def token(asked: Asked) -> Page:
    """Show a token, this once."""
    name, form = asked.path["name"], asked.body
    if not 0 < form.days <= 3650:
        return _page(asked, "a token counts for more than 0 and at most 3650 days", 422)
    try:
        made = people.token_of(asked, name, form.days)
    except Failed as failed:
        return _page(asked, failed.problem.detail, failed.problem.status)
    return _page(asked, made=made, of=name)


def _done(said: str, act: Handler) -> Handler:
    async def handle(asked: Asked) -> Page | Redirect:
        try:
            await act(asked)
        except Failed as failed:
            return _page(asked, failed.problem.detail, failed.problem.status)
        return Redirect("/people", f"{asked.path['name']} {said}.")

    handle.__doc__ = act.__doc__
    return handle


async def audit(asked: Asked) -> Page:
    """Who did what."""
    found = await newest(asked)
    return Page("audit.html", {"entries": found.entries, "more": found.more, "which": asked.query})


_ADMIN = Right.ADMIN
_ONE = "/people/{name}"
ROUTES = [
    Route("GET", "/people", page, "people.page", "People", _ADMIN),
    Route("POST", "/people", put, "people.page_put", "Give a person a role", _ADMIN, body=Named, action="people.rank"),
    Route(
        "POST", f"{_ONE}/token", token, "people.page_token", "Make a token", _ADMIN, body=Lasting, action="people.token"
    ),
    Route(
        "POST",
        f"{_ONE}/revoke",
        _done("has to sign in anew", people.revoke),
        "people.page_revoke",
        "End a person's tokens",
        _ADMIN,
        action="people.revoke",
    ),
    Route(
        "POST",
        f"{_ONE}/remove",
        _done("is removed", people.remove),
        "people.page_remove",
        "Remove them",
        _ADMIN,
        action="people.remove",
    ),
    Route("GET", "/audit", audit, "audit.page", "The audit log", _ADMIN, query=Which),
]
