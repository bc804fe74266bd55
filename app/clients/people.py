"""The people in Kafka: read, and changed from a command line."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable

import msgspec

from app.clients.compacted import read_compacted
from app.clients.kafka import write
from app.clients.view import View
from app.domain.people import Person, changed, follows
from app.errors import NotDone
from app.settings import Settings
from app.topics import PEOPLE, full_name

_TRIES = 10
decode_person = msgspec.json.Decoder(Person).decode


def people_view(settings: Settings) -> View[Person]:
    """All people by name, also removed ones, kept up to date."""
    return View(settings, full_name(PEOPLE, settings), decode_person, follows)


async def read_people(settings: Settings) -> dict[str, Person]:
    """All people by name, also removed ones. Raises Unavailable."""
    return await read_compacted(settings, PEOPLE, decode_person, follows)


async def write_person(settings: Settings, person: Person) -> None:
    """Write a person as they are from now on, whatever they were. Raises Unavailable."""
    await write(settings, PEOPLE, person.name, msgspec.json.encode(person))


async def change_person(
    settings: Settings, name: str, change: Callable[[Person | None], Person]
) -> tuple[Person, bool]:
    """Write a person as `change` makes them of who is there; they, and whether that changes anything.

    Raises what `change` raises, Unavailable.
    """

    async def read() -> Person | None:
        return (await read_people(settings)).get(name)

    return await carry_through(change, read, lambda person: write_person(settings, person))


async def carry_through(
    change: Callable[[Person | None], Person],
    read: Callable[[], Awaitable[Person | None]],
    write_down: Callable[[Person], Awaitable[None]],
) -> tuple[Person, bool]:
    """Make a change until it stands: who was slower than somebody else makes theirs of what that one has made.

    `read` tells who there is when all that is written is read. Raises what these raise, and NotDone where others are
    faster each time.
    """
    slower = False
    for _ in range(_TRIES):
        known = await read()
        refused: Exception | None = None
        try:
            person = change(known)
        except Exception as wrong:
            if known is None or not slower:
                raise
            person, refused = known, wrong
        if person == known and not slower:
            return person, False
        # Of a slower one something lies in the topic that does not count: its last word on a person must, since that
        # is what compaction keeps, be it that it says nothing new.
        person = changed(known, person, secrets.token_hex(6))
        await write_down(person)
        standing = await read()
        if standing is not None and person.changes[-1] in standing.changes:
            if refused is not None:
                raise refused
            return person, True
        slower = True
        await asyncio.sleep(random.uniform(0.01, 0.1))  # noqa: S311 -- no secret
    raise NotDone("others change this person all the time; nothing was done")
