"""A place of its own for a test: settings with topics and a keyspace that nobody else uses, and their end."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from app.clients.kafka import admin
from app.clients.migrate import migrate
from app.local.stack import Stack
from app.settings import Settings
from tests.support.rows import PATIENCE, patient_session


def _made(settings: Settings) -> None:
    asyncio.run(migrate(settings.model_copy(update={"connect_timeout": PATIENCE})))


@contextmanager
def place(stack: Stack, make: Callable[[Settings], None] = _made, **changed: object) -> Iterator[Settings]:
    """Settings with topics and schema made; all of it is removed in the end."""
    mark = f"t{uuid.uuid4().hex[:8]}"
    own = {
        "topic_prefix": f"{mark}-",
        "keyspace": mark,
        "session_timeout": 6,
        "sources": "none",
        **stack.addresses,
        **changed,
    }
    settings = Settings.model_validate(own)
    make(settings)
    try:
        yield settings
    finally:
        asyncio.run(_forget(settings))


async def _forget(settings: Settings) -> None:
    async with admin(settings) as client:
        await client.delete_topics([name for name in await client.list_topics() if settings.topic_prefix in name])
    with patient_session(settings) as cassandra:
        cassandra.execute(f"DROP KEYSPACE IF EXISTS {settings.keyspace}", timeout=60)


def environment(settings: Settings) -> dict[str, str]:
    """The settings as a process reads them."""
    given = settings.model_dump(exclude_none=True, exclude_defaults=True)
    return {f"STARLING_{name.upper()}": _text(value) for name, value in given.items()}


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
