"""What is written of people, their links and sessions. What is read to decide on it is caught up before."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable

import msgspec

from agents.sending import Outgoing
from app.clients.people import carry_through
from app.clients.tokens import Invalid
from app.clients.view import View
from app.domain.people import Person
from app.web.catching_up import caught_up, caught_up_first
from app.web.limits import Limiter

_PATIENCE = 15.0  # seconds


class PeopleDesk:
    """One of a process. Where two processes change a person in the same instant, one does so after the other."""

    def __init__(self, people: View[Person], spent: View[bytes], tell: Callable[[Outgoing], Awaitable[None]]) -> None:
        self._people = people
        self._spent = spent
        self._tell = tell
        self._changing = asyncio.Lock()
        self.attempts = Limiter(a_minute=10, burst=10)  # to sign in, from an address

    async def change(self, name: str, change: Callable[[Person | None], Person]) -> Person:
        """Write a person as `change` makes them of who is there now. Return when that is in force here.

        Raises what `change` raises, NotDone, Unavailable.
        """

        written = False

        async def read() -> Person | None:
            await (caught_up if written else caught_up_first)(self._people, _PATIENCE)
            return self._people.items.get(name)

        async def write(person: Person) -> None:
            nonlocal written
            written = True
            await self._tell(Outgoing(self._people.topic, name.encode(), msgspec.json.encode(person)))

        async with self._changing:
            return (await carry_through(change, read, write))[0]

    def is_spent(self, token: str) -> bool:
        """Whether a link is known to have signed somebody in."""
        return token in self._spent.items

    async def use_link(self, link: str) -> None:
        """Note that a link signs somebody in. Raises Invalid where it has before, NotDone, Unavailable.

        Whoever's note is the first in the topic has it, among all processes: the view keeps that one.
        """
        await caught_up_first(self._spent, _PATIENCE)
        mark = secrets.token_bytes(16)
        if link not in self._spent.items:
            await self._spend(link, mark)
        if self._spent.items.get(link) != mark:
            raise Invalid("it has been used before")

    async def end_session(self, session: str) -> None:
        """Have a session count no more, with any manager, whoever holds its cookie. Raises Unavailable."""
        await self._spend(session, b"ended")

    async def _spend(self, token: str, mark: bytes) -> None:
        await self._tell(Outgoing(self._spent.topic, token.encode(), mark))
        await caught_up(self._spent, _PATIENCE)
