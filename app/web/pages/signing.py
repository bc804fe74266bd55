"""Signing in with a token or a link, and out."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web
from msgspec import Struct
from msgspec.structs import replace

from app.clients.tokens import Invalid
from app.domain.people import Caller, Person, Right, newcomer
from app.errors import Unavailable
from app.web.api.signing import slow_down
from app.web.desk import Desk
from app.web.problems import Failed
from app.web.routes import Answer, Asked, Page, Route


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
    slow_down(asked)
    try:
        caller = await asked.desk.door.by_token(given.token.strip())
    except Invalid as invalid:
        await asked.desk.audit(asked.caller, "session.begin", asked.address, outcome="refused")
        return Page("sign_in.html", {"next": _inside(given.next), "wrong": str(invalid)}, status=401)
    if caller.by == "oidc":
        await _remember(asked.desk, caller)
    return await _begin(asked, caller, _inside(given.next))


async def welcome(asked: Asked) -> Page:
    """Ask whether a link is to sign in: programs that preview links or scan mails open it too, and use nothing up."""
    desk, token = asked.desk, asked.query.token
    try:
        caller, link = desk.door.by_link(token)
    except Invalid as invalid:
        return _not_by_link(str(invalid))
    if desk.people.is_spent(link):
        return _not_by_link("it has been used before")
    return Page("welcome.html", {"name": caller.name, "token": token})


async def enter(asked: Asked) -> Answer:
    """Begin a session by a link, which counts once."""
    slow_down(asked)
    desk = asked.desk
    try:
        caller, link = desk.door.by_link(asked.body.token)
        await desk.people.use_link(link)
    except Invalid as invalid:
        await desk.audit(asked.caller, "session.begin", asked.address, outcome="refused")
        return _not_by_link(str(invalid))
    return await _begin(asked, caller, "/")


def _not_by_link(why: str) -> Page:
    return Page("sign_in.html", {"next": "/", "wrong": f"This link does not sign in: {why}."}, status=401)


async def sign_out(asked: Asked) -> Answer:
    """End the session, so that a copy of its cookie counts no more either."""
    desk, caller = asked.desk, asked.caller
    if caller.session:
        try:
            await desk.people.end_session(caller.session)
        except Unavailable as away:
            copies = "a copy of its cookie may count until it expires, or `starling user revoke` ends it"
            why = f"this browser has forgotten the session, but {away}; {copies}"
            raise Failed(504, why, reason="uncertain", headers=desk.door.forgetting()) from None
    return web.Response(status=303, headers={"Location": "/sign-in", **desk.door.forgetting()})


async def _begin(asked: Asked, caller: Caller, then: str) -> Answer:
    await asked.desk.audit(caller, "session.begin", asked.address)
    response = web.Response(status=303, headers={"Location": then})
    asked.desk.door.begin_session(response, caller)
    return response


async def _remember(desk: Desk, caller: Caller) -> None:
    """Somebody whom an identity provider knows becomes one of the people, so that a session can be ended here."""

    def remembered(known: Person | None) -> Person:
        if known is None:
            return replace(newcomer(caller.name, caller.rank, "oidc", datetime.now(UTC)), epoch=caller.epoch)
        if known.here or known.epoch != caller.epoch:
            return known  # what was said here stands; a session of an earlier epoch does not count
        return replace(known, rank=caller.rank)

    await desk.people.change(caller.name, remembered)


def _inside(place: str) -> str:
    """A place on this server only: a link to here must not lead elsewhere."""
    ours = place.startswith("/") and not place.startswith("//") and "\\" not in place and place.isprintable()
    return place if ours else "/"


ROUTES = [
    Route("GET", "/sign-in", form, "session.form", "Sign in", Right.NONE, query=Target),
    Route("POST", "/sign-in", sign_in, "session.sign-in", "Sign in", Right.NONE, body=Given, audited=False),
    Route("GET", "/welcome", welcome, "session.welcome", "A link that signs in", Right.NONE, query=Link),
    Route("POST", "/welcome", enter, "session.enter", "Sign in by a link", Right.NONE, body=Link, own_entry=True),
    Route("POST", "/sign-out", sign_out, "session.end", "Sign out"),
]
