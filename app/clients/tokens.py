"""Tokens: JSON Web Tokens (RFC 7519) signed with the secret of this installation, HS256.

Three kinds, told apart by their audience: *bearer* tokens for programs, *sessions* for the cookie of a browser, and
*links* that sign in once. None says what its person may do: that is looked up each time, so that a change counts at
once.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Literal, TypeAlias

import jwt
from msgspec import Struct

from app.domain.people import Person
from app.errors import UserError
from app.settings import Settings, state_dir

Kind: TypeAlias = Literal["bearer", "session", "link"]
ISSUER = "starling"
LINK_SECONDS = 24 * 3600.0
LINK_PATH = "/welcome"
_FILE = "token-secret"
_NEEDED = ["iss", "aud", "sub", "exp", "jti", "epoch"]


class Token(Struct, frozen=True):
    """What a valid token says."""

    name: str  # of the person
    epoch: int
    id: str
    expires: int  # seconds since 1970


class Invalid(Exception):
    """The token does not count; the message says why."""


def secret(settings: Settings) -> str:
    """The secret that signs, from the settings or the state directory; made there where there is none yet.

    Raises UserError where the file cannot be used.
    """
    if settings.token_secret is not None:
        return settings.token_secret.get_secret_value()
    file = state_dir() / _FILE
    try:
        return _read(file) or _make(file)
    except OSError as error:
        raise UserError(f"the secret that signs tokens is not usable: {file}: {error.strerror}") from None


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return ""


def _make(file: Path) -> str:
    """Two processes may do this at once: whole files are linked, the first one counts."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{_FILE}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(secrets.token_urlsafe(48) + "\n")
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return _read(file)


def issue(key: str, kind: Kind, name: str, epoch: int, seconds: float, token_id: str | None = None) -> str:
    """A token of a person, valid for so many seconds."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": f"starling-{kind}",
        "sub": name,
        "epoch": epoch,
        "iat": now,
        "exp": now + max(1, int(seconds)),
        "jti": token_id or secrets.token_urlsafe(16),
    }
    return jwt.encode(claims, key, algorithm="HS256")


def link(settings: Settings, person: Person) -> str:
    """An address that signs a person in, once. Raises UserError where there is no secret."""
    made = issue(secret(settings), "link", person.name, person.epoch, LINK_SECONDS)
    return f"{settings.web_address}{LINK_PATH}?token={made}"


def read(key: str, kind: Kind, token: str) -> Token:
    """What a token of this kind says. Raises Invalid."""
    try:
        claims = jwt.decode(
            token, key, algorithms=["HS256"], issuer=ISSUER, audience=f"starling-{kind}", options={"require": _NEEDED}
        )
        return Token(str(claims["sub"]), int(claims["epoch"]), str(claims["jti"]), int(claims["exp"]))
    except jwt.ExpiredSignatureError:
        raise Invalid("the token has expired") from None
    except (jwt.InvalidTokenError, ValueError, TypeError):
        raise Invalid("this is no token of this Starling") from None


def issuer_of(token: str) -> str | None:
    """Who says to have issued a token, nothing of which is verified yet."""
    try:
        found = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except jwt.InvalidTokenError:
        return None
    return found if isinstance(found, str) else None
