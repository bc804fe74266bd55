"""Signing in with a token or a link, and out."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web
from msgspec import Struct
from msgspec.structs import replace

from app.clients.tokens import Invalid
from app.domain.people import Caller, Right, newcomer
from app.web.desk import Desk
from app.web.limits import Limiter
from app.web.problems import too_many
from app.web.routes import Answer, Asked, Page, Route

_ATTEMPTS = Limiter(a_minute=10, burst=10)


class Target(Struct, frozen=True):
    """Where to go then."""

    next: str = "/"


class Given(Struct, frozen=True):
    """The form."""

    token: str
    next: str = "/"


class Link(Struct, frozen=True):
    """A link's token."""

    token: str = ""


async def form(asked: Asked) -> Page:
    """Ask for a token."""
    return Page("sign_in.html", {"next": _inside(asked.query.next), "wrong": ""})


async def sign_in(asked: Asked) -> Answer:
    """Begin a session by a token."""
    given: Given = asked.body
    _slow_down(asked)
    try:
        caller = await asked.desk.door.by_token(given.token.strip())
    except Invalid as invalid:
        await asked.desk.audit(asked.caller, "session.begin", asked.request.remote or "", outcome="refused")
        return Page("sign_in.html", {"next": _inside(given.next), "wrong": str(invalid)}, status=401)
    if caller.by == "oidc":
        await _remember(asked.desk, caller)
    return await _begin(asked, caller, _inside(given.next))


async def welcome(asked: Asked) -> Answer:
    """Begin a session by a link, which counts once."""
    _slow_down(asked)
    desk = asked.desk
    try:
        caller, link = desk.door.by_link(asked.query.token)
        await desk.use_link(link)
    except Invalid as invalid:
        await desk.audit(asked.caller, "session.begin", asked.request.remote or "", outcome="refused")
        wrong = f"This link does not sign in: {invalid}."
        return Page("sign_in.html", {"next": "/", "wrong": wrong}, status=401)
    return await _begin(asked, caller, "/")


async def sign_out(asked: Asked) -> Answer:
    """End the session."""
    response = web.Response(status=303, headers={"Location": "/sign-in"})
    asked.desk.door.end_session(response)
    return response


async def _begin(asked: Asked, caller: Caller, then: str) -> Answer:
    await asked.desk.audit(caller, "session.begin", asked.request.remote or "")
    response = web.Response(status=303, headers={"Location": then})
    asked.desk.door.begin_session(response, caller)
    return response


def _slow_down(asked: Asked) -> None:
    wait = _ATTEMPTS.take(asked.request.remote or "")
    if wait:
        raise too_many(wait, "too many attempts to sign in from this address")


async def _remember(desk: Desk, caller: Caller) -> None:
    """Somebody whom an identity provider knows becomes one of the people, so that a session can be ended here."""
    known = desk.views.people.items.get(caller.name)
    if known is None or known.rank != caller.rank:
        made = newcomer(caller.name, caller.rank, "oidc", datetime.now(UTC))
        person = made if known is None else replace(known, rank=caller.rank)
        await desk.put_person(caller.name, person)
        await desk.views.people.catch_up()


def _inside(place: str) -> str:
    """A place on this server only: a link to here must not lead elsewhere."""
    ours = place.startswith("/") and not place.startswith("//") and "\\" not in place and place.isprintable()
    return place if ours else "/"


ROUTES = [
    Route("GET", "/sign-in", form, "session.form", "Sign in", Right.NONE, query=Target),
    Route("POST", "/sign-in", sign_in, "session.sign-in", "Sign in", Right.NONE, body=Given, audited=False),
    Route("GET", "/welcome", welcome, "session.welcome", "Sign in by a link", Right.NONE, query=Link),
    Route("POST", "/sign-out", sign_out, "session.end", "Sign out"),
]
