"""Notices and mutes from outside: what stands, and a person's wish to be told less."""

from __future__ import annotations

import msgspec

from app.clients import audit
from app.clients.compacted import read_compacted
from app.clients.kafka import write
from app.domain.notices import Entry, Mute, decode_mute, entry
from app.settings import Settings
from app.topics import MUTES, NOTICES


async def read_notices(settings: Settings) -> dict[str, Entry]:
    """All entries of `notices` by key. Raises Unavailable."""
    return await read_compacted(settings, NOTICES, entry)


async def read_mutes(settings: Settings) -> dict[str, Mute]:
    """All mutes by id, also those that are over. Raises Unavailable."""
    return await read_compacted(settings, MUTES, decode_mute)


async def put_mute(settings: Settings, mute: Mute) -> None:
    """Have a mute hold; returns when Kafka has it, and the audit log. Raises Unavailable."""
    await write(settings, MUTES, mute.id, msgspec.json.encode(mute))
    about = {"mute": mute.id, "event": mute.event, "kind": mute.kind}
    await audit.write(settings, mute.who, "mutes.add", mute.event, about)


async def remove_mute(settings: Settings, name: str, who: str) -> None:
    """End a mute by its id; returns when Kafka has it, and the audit log. Raises Unavailable."""
    await write(settings, MUTES, name, None)
    await audit.write(settings, who, "mutes.remove", "", {"mute": name})
