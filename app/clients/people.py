"""The people in Kafka: read, and written from a command line."""

from __future__ import annotations

import asyncio

import msgspec
from aiokafka.errors import KafkaError

from app.clients.compacted import read_compacted
from app.clients.kafka import producer, unreachable
from app.domain.people import Person
from app.settings import Settings
from app.topics import PEOPLE, full_name

decode_person = msgspec.json.Decoder(Person).decode


async def read_people(settings: Settings) -> dict[str, Person]:
    """All people by name. Raises Unavailable."""
    return await read_compacted(settings, PEOPLE, decode_person)


async def write_person(settings: Settings, name: str, person: Person | None) -> None:
    """Write a person as they are from now on, or that there is no such person. Raises Unavailable."""
    value = None if person is None else msgspec.json.encode(person)
    async with producer(settings) as sender:
        try:
            async with asyncio.timeout(settings.command_timeout):
                await sender.send_and_wait(full_name(PEOPLE, settings), value, name.encode())
        except (KafkaError, OSError, TimeoutError) as error:
            raise unreachable(settings, error) from None
