"""The door: who asks, by which token or session."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import urlsplit

from aiohttp import web

from app.clients import tokens
from app.clients.oidc import IdentityProvider
from app.clients.tokens import Invalid
from app.clients.view import View
from app.domain.people import Caller, Person
from app.settings import Settings

NOBODY = Caller(name="", rank="viewer", by="open")
_EVERYBODY = Caller(name="anyone", rank="admin", by="open")
CSRF_FIELD, CSRF_HEADER = "csrf", "X-CSRF-Token"


class Door:
    """Lets people in."""

    def __init__(self, settings: Settings, people: View[Person]) -> None:
        self._settings = settings
        self._people = people
        self._key = tokens.secret(settings)
        self._provider = IdentityProvider(settings)
        self._secure = (settings.web_url or "").startswith("https:")
        self.cookie = "__Host-starling" if self._secure else "starling"

    async def caller(self, request: web.Request) -> Caller | None:
        """Who asks; None where that is not said. Raises Invalid where what is said does not count, Unavailable."""
        if not self._settings.web_auth:
            return _EVERYBODY
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme:
            if scheme.lower() != "bearer":
                raise Invalid("write Authorization: Bearer and a token")
            return await self.by_token(given.strip())
        if held := request.cookies.get(self.cookie):
            return self._by_session(held)
        return None

    async def by_token(self, token: str) -> Caller:
        """The bearer of a token. Raises Invalid, Unavailable."""
        if self._provider.issued(tokens.issuer_of(token)):
            return await self._provider.caller(token)
        said = tokens.read(self._key, "bearer", token)
        return self._known(said, "")

    def by_link(self, token: str) -> tuple[Caller, str]:
        """Whom a link signs in, and its id, which counts once. Raises Invalid."""
        said = tokens.read(self._key, "link", token)
        return self._known(said, ""), said.id

    def _by_session(self, held: str) -> Caller:
        said = tokens.read(self._key, "session", held)
        return self._known(said, said.id)

    def _known(self, said: tokens.Token, session: str) -> Caller:
        person = self._people.items.get(said.name)
        if person is None or person.epoch != said.epoch:
            raise Invalid("the token was revoked")
        return Caller(name=person.name, rank=person.rank, by="session" if session else "token", session=session)

    def issue(self, person: Person, seconds: float) -> str:
        """A token of a person of ours, for programs."""
        return tokens.issue(self._key, "bearer", person.name, person.epoch, seconds)

    def begin_session(self, response: web.StreamResponse, caller: Caller) -> None:
        """Give the browser a session of a person of ours."""
        person = self._people.items[caller.name]
        seconds = self._settings.session_hours * 3600
        value = tokens.issue(self._key, "session", person.name, person.epoch, seconds, secrets.token_urlsafe(16))
        response.set_cookie(
            self.cookie,
            value,
            max_age=int(seconds),
            path="/",
            httponly=True,
            secure=self._secure,
            samesite="Lax",  # Strict would sign people out who follow a link from a mail
        )

    def end_session(self, response: web.StreamResponse) -> None:
        """Have the browser forget its session."""
        response.del_cookie(self.cookie, path="/", httponly=True, secure=self._secure, samesite="Lax")

    def csrf(self, caller: Caller) -> str:
        """What a form of this session must hold: no other site can know it."""
        return hmac.new(self._key.encode(), f"csrf {caller.session}".encode(), hashlib.sha256).hexdigest()

    def is_ours(self, caller: Caller, given: str) -> bool:
        """Whether a request that only a cookie vouches for comes from a page of ours."""
        return hmac.compare_digest(self.csrf(caller).encode(), given.encode("utf-8", "replace"))

    def is_our_host(self, request: web.Request) -> bool:
        """Whether the request names this server: a name that another site has pointed here is none of ours."""
        host = _host(f"//{request.host}")
        own = {"localhost", "127.0.0.1", "::1", self._settings.web_host, _host(self._settings.web_url or "")}
        return host in own

    def from_elsewhere(self, request: web.Request) -> bool:
        """Whether a browser says that a page of another site has made this request."""
        origin = request.headers.get("Origin")
        return origin is not None and (_host(origin) or "-") != _host(f"//{request.host}")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
