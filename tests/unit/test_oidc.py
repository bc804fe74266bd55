"""Whom an identity provider vouches for, by a provider on this machine: its keys, its tokens, and what is said here."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, make_mocked_request
from cryptography.hazmat.primitives.asymmetric import rsa

from app.clients import tokens
from app.clients.tokens import Invalid
from app.domain.people import ranked, removed, revoked
from app.settings import Settings
from app.web.door import Door
from tests.support.api import SECRET

NAME = "oidc:ben"


def _now() -> datetime:
    return datetime.now(UTC)


class Provider:
    """An identity provider with one key, and a door that knows it."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        application = web.Application()
        application.router.add_get("/.well-known/openid-configuration", self._about)
        application.router.add_get("/keys", self._keys)
        self.server = TestServer(application)
        self.people: dict[str, Any] = {}

    async def _about(self, _: web.Request) -> web.Response:
        return web.json_response({"jwks_uri": str(self.server.make_url("/keys"))})

    async def _keys(self, _: web.Request) -> web.Response:
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return web.json_response({"keys": [{**key, "kid": "one", "use": "sig"}]})

    @property
    def issuer(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    def token(self, role: str = "admin", **changed: Any) -> str:
        """What it gives to ben; None leaves a claim out."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "starling", "sub": "ben", "exp": now + 60, "iat": now - 10}
        claims |= {"starling_role": role, **changed}
        key = claims.pop("key", self._key)
        given = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(given, key, algorithm="RS256", headers={"kid": "one"})

    def door(self) -> Door:
        view: Any = SimpleNamespace(items=self.people)
        nothing_spent: Any = SimpleNamespace(items={})
        return Door(Settings(oidc_issuer=self.issuer, token_secret=SECRET), view, nothing_spent)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    await made.server.start_server()
    yield made
    await made.server.close()


async def test_a_token_of_the_provider_names_its_bearer_and_their_role(provider: Provider) -> None:
    caller = await provider.door().by_token(provider.token("editor"))
    assert (caller.name, caller.rank, caller.by) == (NAME, "editor", "oidc")


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "another"},
        {"iss": None},
        {"exp": 1},
        {"iat": None},
        {"iat": 2**32},
        {"starling_role": "king"},
        {"sub": "b en"},
        {"key": rsa.generate_private_key(public_exponent=65537, key_size=2048)},
    ],
    ids=lambda changed: "another key" if "key" in changed else str(changed),
)
async def test_a_token_that_it_has_not_given_to_starling_does_not_count(
    provider: Provider, changed: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        await provider.door().by_token(provider.token(**changed))


async def test_a_revoke_ends_what_was_issued_until_then(provider: Provider) -> None:
    door = provider.door()
    provider.people[NAME] = revoked(ranked(None, NAME, "admin", "ada", _now()), _now())
    with pytest.raises(Invalid, match="revoked"):
        await door.by_token(provider.token())
    later = provider.people[NAME].epoch + 1
    assert (await door.by_token(provider.token(iat=later, exp=later + 60))).name == NAME


async def test_a_role_that_is_given_here_counts_instead_of_the_claim(provider: Provider) -> None:
    provider.people[NAME] = ranked(None, NAME, "viewer", "ada", datetime.fromtimestamp(1, UTC))
    assert (await provider.door().by_token(provider.token("admin"))).rank == "viewer"


async def test_whom_an_administrator_removes_stays_out_until_they_are_given_a_role(provider: Provider) -> None:
    door = provider.door()
    gone = removed(ranked(None, NAME, "admin", "ada", _now()), _now())
    assert gone is not None
    provider.people[NAME] = gone
    later = gone.epoch + 1
    with pytest.raises(Invalid, match="removed"):
        await door.by_token(provider.token(iat=later, exp=later + 60))
    provider.people[NAME] = ranked(gone, NAME, "viewer", "ada", _now())
    assert (await door.by_token(provider.token(iat=later, exp=later + 60))).rank == "viewer"


async def test_a_session_that_a_token_begins_ends_with_a_revoke_even_of_that_moment(provider: Provider) -> None:
    door = provider.door()
    caller = await door.by_token(provider.token())
    person = ranked(None, NAME, "admin", "ada", datetime.fromtimestamp(caller.epoch, UTC))
    response = web.Response()
    door.begin_session(response, caller)
    request = make_mocked_request("GET", "/", {"Cookie": f"{door.cookie}={response.cookies[door.cookie].value}"})
    provider.people[NAME] = person
    found = await door.caller(request)
    assert found is not None
    assert found.name == NAME
    for ended in (revoked(person, _now()), removed(person, _now())):
        provider.people[NAME] = ended
        with pytest.raises(Invalid):
            await door.caller(request)


async def test_a_session_lasts_no_longer_than_the_token_that_began_it(provider: Provider) -> None:
    door = provider.door()
    expires = int(time.time()) + 600
    response = web.Response()
    door.begin_session(response, await door.by_token(provider.token(exp=expires)))
    cookie = response.cookies[door.cookie]
    assert tokens.read(SECRET, "session", cookie.value).expires <= expires
    assert int(cookie["max-age"]) <= 600
