"""The door: who asks, by which token or session."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlsplit

from aiohttp import web
from msgspec.structs import replace

from app.clients import tokens
from app.clients.oidc import IdentityProvider
from app.clients.tokens import Invalid
from app.clients.view import View
from app.domain.people import Caller, Person, vouched
from app.domain.proxies import client, networks
from app.settings import Settings

NOBODY = Caller(name="", rank="viewer", by="open")
_EVERYBODY = Caller(name="anyone", rank="admin", by="open")
_PORTS = {"http": 80, "https": 443}
CSRF_FIELD, CSRF_HEADER = "csrf", "X-CSRF-Token"


class Door:
    """Lets people in."""

    def __init__(self, settings: Settings, people: View[Person], spent: View[bytes]) -> None:
        self._settings = settings
        self._people = people
        self._spent = spent
        self._key = tokens.secret(settings)
        self._provider = IdentityProvider(settings)
        self._secure = (settings.web_url or "").startswith("https:")
        self._proxies = networks(settings.trusted_proxies)
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
            caller, issued = await self._provider.caller(token)
            try:
                known = self._people.items.get(caller.name)
                person = vouched(known, caller.name, caller.rank, issued, datetime.now(UTC))
            except ValueError as wrong:
                raise Invalid(str(wrong)) from None
            return replace(caller, rank=person.rank, epoch=person.epoch)
        said = tokens.read(self._key, "bearer", token)
        return self._known(said, "")

    def by_link(self, token: str) -> tuple[Caller, str]:
        """Whom a link signs in, and its id, which counts once. Raises Invalid."""
        said = tokens.read(self._key, "link", token)
        return self._known(said, ""), said.id

    def _by_session(self, held: str) -> Caller:
        said = tokens.read(self._key, "session", held)
        if said.id in self._spent.items:
            raise Invalid("the session was ended")
        return self._known(said, said.id)

    def _known(self, said: tokens.Token, session: str) -> Caller:
        person = self._people.items.get(said.name)
        if person is None or person.here == "removed" or person.epoch != said.epoch:
            raise Invalid("the token was revoked")
        by: Literal["session", "token"] = "session" if session else "token"
        return Caller(name=person.name, rank=person.rank, by=by, session=session, epoch=person.epoch)

    def issue(self, person: Person, seconds: float) -> str:
        """A token of a person of ours, for programs."""
        return tokens.issue(self._key, "bearer", person.name, person.epoch, seconds)

    def link(self, person: Person) -> str:
        """A link that signs a person of ours in, once."""
        return tokens.link(self._settings, person)

    def begin_session(self, response: web.StreamResponse, caller: Caller) -> None:
        """Give the browser a session of whom we have let in: a revoke since then ends it too.

        It lasts no longer than a provider's token that let them in: what the provider says later, we do not hear.
        """
        seconds = self._settings.session_hours * 3600
        if caller.until is not None:
            seconds = max(1, min(seconds, caller.until - time.time()))
        value = tokens.issue(self._key, "session", caller.name, caller.epoch, seconds, secrets.token_urlsafe(16))
        response.set_cookie(
            self.cookie,
            value,
            max_age=int(seconds),
            path="/",
            httponly=True,
            secure=self._secure,
            samesite="Lax",  # Strict would sign people out who follow a link from a mail
        )

    def forgetting(self) -> dict[str, str]:
        """Headers that have the browser forget its session."""
        made = web.Response()
        made.del_cookie(self.cookie, path="/", httponly=True, secure=self._secure, samesite="Lax")
        return {"Set-Cookie": made.cookies[self.cookie].OutputString()}

    def csrf(self, caller: Caller) -> str:
        """What a form of this session must hold: no other site can know it."""
        return hmac.new(self._key.encode(), f"csrf {caller.session}".encode(), hashlib.sha256).hexdigest()

    def seal(self, caller: Caller, said: str) -> str:
        """What shows that Starling itself says this to them, in this session: a link can hold any text."""
        whom = f"{caller.session} {caller.by} {caller.name}"  # who comes without a session shares none with others
        return hmac.new(
            self._key.encode(), f"said {whom} {said}".encode("utf-8", "replace"), hashlib.sha256
        ).hexdigest()

    def is_sealed(self, caller: Caller, said: str, given: str) -> bool:
        """Whether Starling itself said this to them; to nobody in particular it says nothing so."""
        if caller is NOBODY:
            return False
        return hmac.compare_digest(self.seal(caller, said).encode(), given.encode("utf-8", "replace"))

    def is_ours(self, caller: Caller, given: str) -> bool:
        """Whether a request that only a cookie vouches for comes from a page of ours."""
        return hmac.compare_digest(self.csrf(caller).encode(), given.encode("utf-8", "replace"))

    def is_our_host(self, request: web.Request) -> bool:
        """Whether the request names this server: a name that another site has pointed here is none of ours."""
        host = _host(f"//{request.host}")
        own = {"localhost", "127.0.0.1", "::1", self._settings.web_host, _host(self._settings.web_url or "")}
        return host in own or host in {name.strip().lower() for name in self._settings.web_names.split(",")} - {""}

    def from_elsewhere(self, request: web.Request) -> bool:
        """Whether a browser says that a page of another site has made this request, be it of this host."""
        origin = request.headers.get("Origin")
        if origin is None:
            return False
        # What stands before us may do TLS: the scheme is the browser's.
        asked = f"{origin.partition('://')[0]}://{request.host}"
        return _place(origin) not in {_place(asked), _place(self._settings.web_url or asked)} - {None}

    def address(self, request: web.Request) -> str:
        """Where the request comes from, as the proxies that the settings trust have it."""
        return client(request.remote or "", request.headers.getall("X-Forwarded-For", []), self._proxies)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _place(url: str) -> tuple[str, int] | None:
    """Host and port of an http or https address; None where it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port else None
