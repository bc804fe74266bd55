"""Tokens of an identity provider (OpenID Connect): its keys by discovery, kept, and asked for again with patience."""

from __future__ import annotations

import asyncio
import json
from time import monotonic
from typing import Any

import aiohttp
import jwt
from msgspec.structs import replace

from app.clients.tokens import Invalid
from app.domain.people import RANKS, Caller, Rank, foreign_name
from app.errors import Unavailable
from app.settings import Settings

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384"]  # never one that a public key could be used for
_FRESH_SECONDS = 3600.0
_AGAIN_SECONDS = 30.0  # a token with an unknown key makes us ask no oftener
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_MOST_BYTES = 1024 * 1024


class IdentityProvider:
    """Verifies tokens of the issuer that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._issuer = settings.oidc_issuer
        self._audience = settings.oidc_audience
        self._claim = settings.oidc_rank_claim
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked = -_FRESH_SECONDS
        self._asking = asyncio.Lock()

    def issued(self, issuer: str | None) -> bool:
        """Whether this is the provider's name."""
        return self._issuer is not None and issuer is not None and issuer.rstrip("/") == self._issuer

    async def caller(self, token: str) -> tuple[Caller, int]:
        """Who the token's bearer is, and when it was issued (seconds since 1970).

        Raises Invalid; Unavailable where the keys cannot be had.
        """
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(str(header.get("kid", "")))
            claims = jwt.decode(
                token,
                key,
                algorithms=[name for name in ALGORITHMS if name == header.get("alg")],
                audience=self._audience,
                leeway=30,
                options={"require": ["iss", "aud", "sub", "exp", "iat"], "verify_iss": False},
            )
        except jwt.ExpiredSignatureError:
            raise Invalid("the token has expired") from None
        except (jwt.InvalidTokenError, ValueError, TypeError):
            raise Invalid("the identity provider has not signed this token for Starling") from None
        if not self.issued(str(claims["iss"])):
            raise Invalid("the token is of another issuer")
        return replace(self._person(claims), until=int(claims["exp"])), int(claims["iat"])

    def _person(self, claims: dict[str, Any]) -> Caller:
        said = claims.get(self._claim)
        given = {str(one) for one in (said if isinstance(said, list) else [said])}
        ranks: list[Rank] = [rank for rank in RANKS if rank in given]
        if not ranks:
            raise Invalid(f"the token's claim {self._claim!r} names no rank ({', '.join(RANKS)})")
        try:
            return Caller(name=foreign_name(str(claims["sub"])), rank=ranks[-1], by="oidc")
        except ValueError:
            raise Invalid("the token's subject is no name") from None

    async def _key(self, name: str) -> jwt.PyJWK:
        async with self._asking:
            since = monotonic() - self._asked
            if since > _FRESH_SECONDS or (name not in self._keys and since > _AGAIN_SECONDS):
                self._asked = monotonic()
                try:
                    self._keys = await self._fetch()
                except (aiohttp.ClientError, OSError, TimeoutError, ValueError, jwt.PyJWTError) as error:
                    if name not in self._keys:
                        raise Unavailable(
                            f"the identity provider's keys cannot be had ({type(error).__name__})"
                        ) from None
        if name not in self._keys:
            raise Invalid("the identity provider has no such key")
        return self._keys[name]

    async def _fetch(self) -> dict[str, jwt.PyJWK]:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            about = await _json(session, f"{self._issuer}/.well-known/openid-configuration")
            found = await _json(session, str(about["jwks_uri"]))
        usable = [one for one in found["keys"] if one.get("use", "sig") == "sig" and one.get("kty") in ("RSA", "EC")]
        return {str(one.get("kid", "")): jwt.PyJWK(one) for one in usable}


async def _json(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url) as response:
        response.raise_for_status()
        text = await response.content.read(_MOST_BYTES)
    try:
        found = json.loads(text)
    except UnicodeDecodeError as wrong:
        raise ValueError(str(wrong)) from None
    if not isinstance(found, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 -- of a stranger's answer, not of a caller's argument
    return found
