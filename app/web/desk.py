"""What handlers have before them: the views, and the ways to change something."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka.errors import KafkaError
from mode import Service

from agents.sending import Outgoing, send_all
from app.clients.commanding import Commanding
from app.clients.event_commands import new_command
from app.clients.tokens import Invalid
from app.domain.audit import Audited
from app.domain.decisions import Action, Answer, Command
from app.domain.events import Event
from app.domain.people import Caller, Person
from app.errors import Unavailable
from app.faustapp import App
from app.settings import Settings
from app.topics import AUDIT, EVENT_COMMANDS, PEOPLE, USED_LINKS, full_name
from app.web.archive_desk import ArchiveDesk
from app.web.asking_desk import AskingDesk
from app.web.door import Door
from app.web.export_desk import ExportDesk
from app.web.flowing import Flows
from app.web.problems import Failed
from app.web.showing import shown
from app.web.watching import Watching
from tables.manager_views import ManagerViews

log = logging.getLogger(__name__)
_STATUS = {"unknown": 404, "exists": 409, "state": 409, "version": 409, "invalid": 422, "late": 503}


@dataclass
class Desk:
    """One of a process."""

    app: App
    settings: Settings
    views: ManagerViews
    description: Callable[[], dict[str, Any]] = dict  # of the API

    def __post_init__(self) -> None:
        self.door = Door(self.settings, self.views.people)
        self.flows = Flows()
        self.asking = AskingDesk(self.settings)
        self.watching = Watching(self.settings, self.views)
        self.exports = ExportDesk(self.settings, self.views, self.tell)
        self.archive = ArchiveDesk(self.settings, self.views.events.view.items.get)
        self._using_link = asyncio.Lock()
        self.commanding = Commanding(self.settings, self._send, self.views.events.view.items.get)

    @property
    def services(self) -> list[Service]:
        """What the process runs for it."""
        return [self.commanding, *self.watching.services, self.archive.archive, self.archive.lag]

    def event(self, code: str) -> Event:
        """An event as it stands. Raises Failed."""
        found = self.views.events.view.items.get(code)
        if found is None:
            raise Failed(404, f"there is no event {code!r}", reason="unknown")
        return found

    async def tell(self, *records: Outgoing) -> None:
        """Send records; return when Kafka has them. Raises Unavailable."""
        try:
            async with asyncio.timeout(self.settings.command_timeout):
                await send_all(self.app, records)
        except (KafkaError, OSError, TimeoutError) as error:
            raise Unavailable(f"Kafka does not take what is written ({type(error).__name__}); try again") from None

    async def _send(self, topic: str, key: bytes, value: bytes, partition: int | None) -> None:
        await self.tell(Outgoing(topic, key, value, None, partition))

    async def decide(self, caller: Caller, action: Action, code: str, why: str = "", **rest: Any) -> Event:
        """Have a manager carry something out; the event as it is then. Raises Failed, Unavailable."""
        await self.carry_out(new_command(action, code, caller.name, why, **rest))
        return self.event(code)

    async def carry_out(self, command: Command) -> None:
        """Return when a command is carried out, and the view of events tells it. Raises Failed, Unavailable."""
        answer = await self.commanding.ask(command)
        if not answer.accepted:
            raise await self._refusal(answer, command)
        await self.caught_up()

    async def _refusal(self, answer: Answer, command: Command) -> Failed:
        """Of a conflict both versions: the event as it stands, and what was to be written."""
        current = yours = None
        if answer.reason == "version":
            await self.caught_up()
            event = self.views.events.view.items.get(answer.code)
            current = msgspec.to_builtins(shown(event)) if event is not None else None
            yours = msgspec.to_builtins(command.definition)
        status = _STATUS[answer.reason or "invalid"]
        return Failed(status, answer.message, reason=answer.reason or "", current=current, yours=yours)

    async def refresh(self, caller: Caller, why: str = "") -> int:
        """Have every event told again; how many managers' partitions have done so. Raises Unavailable."""
        topic = full_name(EVENT_COMMANDS, self.settings)
        client = getattr(self.app.producer, "_producer", None)  # Faust's producer tells nothing of partitions
        numbers = sorted(await client.partitions_for(topic)) if client is not None else []
        commands = [new_command("refresh", "*", caller.name, why) for _ in numbers]
        asked = [self.commanding.ask(one, number) for one, number in zip(commands, numbers, strict=True)]
        return len(await asyncio.gather(*asked))

    async def caught_up(self) -> None:
        """Return once the view of events has what a manager has just told. Raises Unavailable."""
        try:
            async with asyncio.timeout(self.settings.command_timeout):
                await self.views.events.view.catch_up()
        except (KafkaError, TimeoutError) as error:
            raise Unavailable(f"it was done, but Kafka does not tell how it stands ({type(error).__name__})") from None

    async def put_person(self, name: str, person: Person | None) -> None:
        """Write a person as they are from now on, or that there is no such person. Raises Unavailable."""
        value = None if person is None else msgspec.json.encode(person)
        await self.tell(Outgoing(full_name(PEOPLE, self.settings), name.encode(), value))

    async def use_link(self, link: str) -> None:
        """Note that a link has signed somebody in. Raises Invalid where it had before, Unavailable."""
        async with self._using_link:
            await self.views.used_links.catch_up()
            if link in self.views.used_links.items:
                raise Invalid("it has been used before")
            await self.tell(Outgoing(full_name(USED_LINKS, self.settings), link.encode(), b"used"))
            await self.views.used_links.catch_up()

    async def audit(self, caller: Caller, action: str, address: str, **rest: Any) -> None:
        """Write an entry of the audit log; where Kafka is away, it is in the process's own log."""
        entry = Audited(at=datetime.now(UTC), who=caller.name, by=caller.by, action=action, address=address, **rest)
        try:
            await self.tell(Outgoing(full_name(AUDIT, self.settings), caller.name.encode(), msgspec.json.encode(entry)))
        except Unavailable as away:
            log.warning("not in the audit log", extra={"entry": msgspec.to_builtins(entry), "why": str(away)})
