"""What a route is. Declared once; serving it, and its description in OpenAPI, both follow from that.

To add a part: a module in `app/web/api` or `app/web/pages` with handlers and a list `ROUTES`, and its name in
`app/web/register.py`. A handler takes an `Asked` and gives a `Reply` (JSON), a `Page`, a `Redirect`, or a response of
aiohttp's for what flows; what goes wrong it raises as `Failed`. Paths that begin with `/api/` answer JSON and problems,
all others pages. Every request but GET is written down in the audit log, with what the handler has put in
`Asked.target`, `Asked.detail` and `Asked.refused`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aiohttp import web
from msgspec import Struct

from app.domain.events import Event
from app.domain.people import Caller, Right
from app.web.problems import Failed

if TYPE_CHECKING:
    from app.web.desk import Desk  # brings Faust, which the CLI does without

API = "/api/"
_VERSION = re.compile(r'(?:W/)?"(\d{1,18})"')
PATIENCE = 40.0  # seconds that a request may take: a command is waited for 20 by default


@dataclass
class Asked:
    """A request: who asks, what for."""

    route: Route
    request: web.Request
    desk: Desk
    caller: Caller
    query: Any = None  # the route's query type, filled
    body: Any = None  # the route's body type, filled
    detail: dict[str, Any] = field(default_factory=dict)  # for the audit log
    target: str = ""  # for the audit log: an event's code, a person's name; what the path names, unless it is said
    refused: str = ""  # for the audit log: why not all of it was done, where the answer itself is no refusal

    def __post_init__(self) -> None:
        self.target = self.target or self.path.get("code") or self.path.get("name") or ""

    @property
    def path(self) -> Mapping[str, str]:
        """The named parts of the path."""
        return self.request.match_info

    @property
    def address(self) -> str:
        """Where the request comes from."""
        return self.desk.door.address(self.request)

    @property
    def by_whom(self) -> str:
        """Whose it is, where somebody may have only so much: a person's name, else where it comes from."""
        return self.address if self.caller.by == "open" else self.caller.name

    @property
    def event(self) -> Event:
        """The event that the path names. Raises Failed."""
        return self.desk.event(self.path["code"])

    @property
    def version(self) -> int | None:
        """The version of the event that If-Match names; None where any will do. Raises Failed."""
        given = self.request.headers.get("If-Match", "*").strip()
        if given == "*":
            return None
        found = _VERSION.fullmatch(given)
        if found is None:
            raise Failed(400, 'write If-Match: "5", the ETag of the event as you know it', reason="invalid")
        return int(found[1])

    async def check_again(self) -> None:
        """Raise Failed where the caller may ask this no more, Unavailable where that cannot be known."""
        await self.desk.admitted(self.route.right, self.request)

    def check(self, right: Right, event: Event) -> None:
        """Raise Failed unless the caller may do that to an event which the path does not name."""
        if not self.caller.may(right, event.owners):
            raise Failed(403, f"{self.caller.name} may not do this")


@dataclass(frozen=True)
class Reply:
    """An answer in JSON; without a body, none."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """A page, by the name of its template and what that shows."""

    template: str
    shown: Mapping[str, object] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class Redirect:
    """Another page to go to, on this server, and what is said there once."""

    to: str
    said: str = ""


Answer: TypeAlias = Reply | Page | Redirect | web.StreamResponse
Handler: TypeAlias = Callable[[Asked], Awaitable[Answer]]


@dataclass(frozen=True)
class Route:
    """A route. The operation's name is unique."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    name: str
    summary: str
    right: Right = Right.VIEW
    query: type[Struct] | None = None
    body: type[Struct | bytes] | None = None  # JSON, or bytes as they are, of the API; the fields of a form of a page
    # Status -> what is answered: a type for JSON, a media type for anything else, None for nothing. Problems that
    # any such route can answer (400, 401, 403, 404 …) are added by the description itself.
    answers: Mapping[int, Any] = field(default_factory=dict)
    patience: float | None = PATIENCE  # seconds; None for what flows as long as the client likes
    media: str = "application/json"  # of the body
    most_bytes: int = 512 * 1024  # of the body
    conditional: bool = False  # If-Match may name the version of the event that is to be changed
    audited: bool = True  # a request that changes nothing although it is no GET is not
    own_entry: bool = False  # of the audit log, by the handler: only that finds out who asks
    action: str = ""  # of a page: the API's name for the same, by which the audit log calls both

    @property
    def of_api(self) -> bool:
        """Whether it answers programs, not people."""
        return self.path.startswith(API)

    @property
    def noted_as(self) -> str:
        """What the audit log calls it: `events.edit`, by whichever way that was asked for."""
        return self.action or self.name

    @property
    def tag(self) -> str:
        """What its description is filed under."""
        return self.name.partition(".")[0]

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET"
