"""What the API says of itself, and of its caller."""

from __future__ import annotations

from importlib.metadata import version

from msgspec import Struct

from app.domain.people import Rank, Right
from app.web.routes import Asked, Reply, Route


class About(Struct, frozen=True):
    """Who the caller is, and what answers."""

    name: str
    rank: Rank
    by: str  # token, session, oidc; open where nobody is asked
    release: str  # of Starling


async def whoami(asked: Asked) -> Reply:
    """The person whose token or session this is."""
    caller = asked.caller
    return Reply(About(caller.name, caller.rank, caller.by, version("starling")))


async def description(asked: Asked) -> Reply:
    """This description, OpenAPI 3.1."""
    return Reply(asked.desk.description())


ROUTES = [
    Route("GET", "/api/v1/whoami", whoami, "about.whoami", "Who am I", answers={200: About}),
    Route(
        "GET",
        "/api/v1/openapi.json",
        description,
        "about.description",
        "The description of the API",
        Right.NONE,
        answers={200: dict},
    ),
]
