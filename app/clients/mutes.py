"""Notices and mutes from outside: what stands, and a person's wish to be told less."""

from __future__ import annotations

import asyncio

import msgspec
from aiokafka.errors import KafkaError

from app.clients.compacted import read_compacted
from app.clients.kafka import producer, unreachable
from app.domain.notices import Entry, Mute, decode_mute, entry
from app.settings import Settings
from app.topics import MUTES, NOTICES, full_name


async def read_notices(settings: Settings) -> dict[str, Entry]:
    """All entries of `notices` by key. Raises Unavailable."""
    return await read_compacted(settings, NOTICES, entry)


async def read_mutes(settings: Settings) -> dict[str, Mute]:
    """All mutes by id, also those that are over. Raises Unavailable."""
    return await read_compacted(settings, MUTES, decode_mute)


async def put_mute(settings: Settings, mute: Mute) -> None:
    """Have a mute hold; returns when Kafka has it. Raises Unavailable."""
    await _send(settings, mute.id, msgspec.json.encode(mute))


async def remove_mute(settings: Settings, name: str) -> None:
    """End a mute by its id; returns when Kafka has it. Raises Unavailable."""
    await _send(settings, name, None)


async def _send(settings: Settings, key: str, value: bytes | None) -> None:
    async with producer(settings) as sender:
        try:
            async with asyncio.timeout(settings.command_timeout):
                await sender.send_and_wait(full_name(MUTES, settings), value, key.encode())
        except (KafkaError, OSError, TimeoutError) as error:
            raise unreachable(settings, error) from None
