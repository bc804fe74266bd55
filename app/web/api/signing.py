"""A token for a link that signs in: what a program begins with that a person has handed such a link."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec import Struct

from app.clients.tokens import Invalid
from app.domain.people import Right
from app.domain.proxies import neighbourhood
from app.web.api.people import Token
from app.web.problems import Failed, Problem, too_many
from app.web.routes import Asked, Reply, Route

_LASTS = timedelta(days=30)


class Link(Struct, frozen=True, forbid_unknown_fields=True):
    """The token of a link that `starling up` and `starling user link` print."""

    token: str


async def token(asked: Asked) -> Reply:
    """A link counts once: for this, or for a session in a browser. The token that it is changed for lasts a month."""
    slow_down(asked)
    desk, address = asked.desk, asked.address
    try:
        caller, link = desk.door.by_link(asked.body.token)
        await desk.people.use_link(link)
    except Invalid as invalid:
        await desk.audit(asked.caller, "session.token", address, outcome="refused")
        raise Failed(401, f"this link does not sign in: {invalid}") from None
    person = desk.views.people.items.get(caller.name)
    if person is None or person.epoch != caller.epoch:
        raise Failed(401, "this link does not sign in: the token was revoked")
    expires = datetime.now(UTC) + _LASTS
    await desk.audit(caller, "session.token", address)
    return Reply(Token(desk.door.issue(person, _LASTS.total_seconds()), expires), 201)


def slow_down(asked: Asked) -> None:
    """Raise Failed where somebody tries too often from an address; of IPv6 one has very many, all of a /64."""
    wait = asked.desk.people.attempts.take(neighbourhood(asked.address))
    if wait:
        raise too_many(wait, "too many attempts to sign in from this address")


ROUTES = [
    Route(
        "POST",
        "/api/v1/token",
        token,
        "session.token",
        "Change a link for a token",
        Right.NONE,
        body=Link,
        answers={201: Token, 401: Problem, 429: Problem},
        own_entry=True,
    ),
]
