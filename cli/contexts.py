"""Which servers a person works with: addresses and tokens in a file that only they can read."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec
from msgspec import Struct

from app.errors import UserError

DIRECT = "direct"  # no context: Kafka and Cassandra themselves
_MOST_TOKEN = 16 * 1024


class Context(Struct, frozen=True, forbid_unknown_fields=True):
    """A server, and who one is there."""

    url: str
    token: str = ""

    def __repr__(self) -> str:
        return f"Context({self.url!r})"  # a token must not come into a log or traceback


class Contexts(Struct, frozen=True, forbid_unknown_fields=True):
    """What the file holds."""

    current: str = ""  # the one in use; "": none
    contexts: dict[str, Context] = {}


def path() -> Path:
    """Where the file is: in the person's own directory of settings (XDG_CONFIG_HOME)."""
    return Path(click.get_app_dir("starling")) / "contexts.json"


def read() -> Contexts:
    """What the file holds; nothing where there is none. Raises UserError."""
    file = path()
    try:
        with file.open("rb") as opened:
            if stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o077:
                raise UserError(f"{file} holds tokens and others may read it: chmod 600 {file}")
            return msgspec.json.decode(opened.read(), type=Contexts)
    except FileNotFoundError:
        return Contexts()
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UserError(f"{file} is not what `starling login` writes; remove it and sign in anew") from None


def update(change: Callable[[Contexts], Contexts]) -> None:
    """Write the file as `change` makes it of what stands; whole or not at all, one at a time. Raises UserError."""
    file = path()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (file.parent / "contexts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = msgspec.json.format(msgspec.json.encode(change(read())), indent=2)
        handle, draft = tempfile.mkstemp(prefix="contexts.", dir=file.parent)  # 0600
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(made + b"\n")
                opened.flush()
                os.fsync(opened.fileno())
            Path(draft).replace(file)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise


def find(known: Contexts, name: str) -> Context:
    """A context by its name. Raises UserError."""
    if name not in known.contexts:
        raise UserError(f"there is no context {name[:100]!r}; `starling context list` shows all, `starling login` adds")
    return known.contexts[name]


def check_url(text: str) -> str:
    """The address of a server, as it is kept. Raises UserError."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and parts.hostname and text.isprintable() and " " not in text
        sound = sound and not (parts.username or parts.password or parts.query or parts.fragment)
        parts.port  # noqa: B018 -- raises ValueError where it is none
    except ValueError:
        sound = False
    if not sound:
        # Not repeated: what was written may hold a password, or a link's token.
        raise UserError("this is no address of a server: write https://host or http://host:port")
    return text.rstrip("/")


def check_token(text: str) -> str:
    """A token as it is sent. Raises UserError, without the token."""
    token = text.strip()
    if not token.isascii() or not token.isprintable() or " " in token or len(token) > _MOST_TOKEN:
        raise UserError("this is no token: it has blanks, line breaks or characters beyond ASCII, or is too long")
    return token
