"""The audit log in Kafka: entries to send, and the newest ones."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka.errors import KafkaError

from app.clients import kafka
from app.clients.compacted import POLL_MS, has_reached, reader
from app.clients.kafka import unreachable
from app.domain.audit import Audited, Outcome
from app.settings import Settings
from app.topics import AUDIT

_decode = msgspec.json.Decoder(Audited).decode


async def read_newest(settings: Settings, most: int) -> list[Audited]:
    """The newest entries, newest first: of each partition at most so many. Raises Unavailable."""
    found: list[Audited] = []
    async with reader(settings, AUDIT, from_start=False, last=most) as (consumer, ends):
        try:
            async with asyncio.timeout(settings.command_timeout):
                while not await has_reached(consumer, ends):
                    for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                        found += [entry for record in records if (entry := _entry(record.value)) is not None]
        except (KafkaError, OSError, TimeoutError) as error:
            raise unreachable(settings, error) from None
    return sorted(found, key=lambda entry: entry.at, reverse=True)


async def write(
    settings: Settings, who: str, action: str, target: str, detail: dict[str, Any], outcome: Outcome = "done"
) -> None:
    """Write an entry from a command line. Raises Unavailable."""
    entry = Audited(
        at=datetime.now(UTC), who=who, by="direct", action=action, target=target, outcome=outcome, detail=detail
    )
    await kafka.write(settings, AUDIT, who, msgspec.json.encode(entry))


def _entry(value: bytes | None) -> Audited | None:
    try:
        return _decode(value or b"")
    except msgspec.DecodeError:
        return None  # written by something else
