"""Which settings the worker was started with, so that a later `starling up` can tell that it asks for others.

No value is kept, only what shows that it is another one: a keyed digest, in a file that nobody else can read.
"""

from __future__ import annotations

import json
import os
import secrets
from hashlib import blake2b
from pathlib import Path

from pydantic import SecretStr

from app.settings import Settings

_OF_COMMANDS_ALONE = frozenset({"command_timeout"})


def remember(file: Path, settings: Settings) -> None:
    """Keep the settings of a worker that is started."""
    key = secrets.token_bytes(32)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump({"key": key.hex(), "digests": _digests(settings, key)}, opened)


def differing(file: Path, settings: Settings) -> list[str]:
    """Names of the settings that are others than the worker's; none where it is not known which it has."""
    try:
        kept = json.loads(file.read_text())
        before, now = dict(kept["digests"]), _digests(settings, bytes.fromhex(kept["key"]))
    except (OSError, ValueError, KeyError, TypeError):
        return []
    # A setting that one of two versions does not have is no difference that a person has made.
    return [f"STARLING_{name.upper()}" for name in now if name in before and before[name] != now[name]]


def _digests(settings: Settings, key: bytes) -> dict[str, str]:
    return {
        name: blake2b(_plain(value).encode(), key=key).hexdigest()
        for name, value in settings
        if name not in _OF_COMMANDS_ALONE
    }


def _plain(value: object) -> str:
    return repr(value.get_secret_value() if isinstance(value, SecretStr) else value)
