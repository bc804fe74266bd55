"""What handlers have before them: the views, and the ways to change something."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web
from aiokafka.errors import KafkaError
from mode import Service

from agents.sending import Outgoing, send_all
from app.clients.commanding import Commanding
from app.clients.event_commands import new_command
from app.clients.tokens import Invalid
from app.domain.audit import Audited
from app.domain.decisions import Action, Answer, Command
from app.domain.events import Event
from app.domain.people import Caller, Right
from app.domain.provisioning import Provisioned
from app.errors import NotDone, Unavailable
from app.faustapp import App
from app.settings import Settings
from app.topics import AUDIT, EVENT_COMMANDS, full_name, partition_count
from app.web.archive_desk import ArchiveDesk
from app.web.asking_desk import AskingDesk
from app.web.catching_up import caught_up
from app.web.door import NOBODY, Door
from app.web.export_desk import ExportDesk
from app.web.flowing import Flows
from app.web.people_desk import PeopleDesk
from app.web.problems import Failed
from app.web.showing import shown
from app.web.watching import Watching
from tables.manager_views import ManagerViews

if TYPE_CHECKING:
    from agents.provisioning import Provisioning

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
        self.door = Door(self.settings, self.views.people, self.views.spent_tokens)
        self.flows = Flows()
        self.people = PeopleDesk(self.views.people, self.views.spent_tokens, self.tell)
        self.asking = AskingDesk(self.settings)
        self.watching = Watching(self.settings, self.views)
        self.exports = ExportDesk(self.settings, self.views, self.tell)
        self.archive = ArchiveDesk(
            self.settings, self.views.events.view.items.get, lambda: self.watching.lags.unindexed
        )
        self.provisioning: Provisioning | None = None  # where this process provisions
        self.commanding = Commanding(self.settings, self._send, self.views.events.view.items.get)

    @property
    def provisioned(self) -> Provisioned | None:
        """What this manager has had the cluster run last."""
        return self.provisioning.last if self.provisioning is not None else None

    @property
    def services(self) -> list[Service]:
        """What the process runs for it."""
        return [self.commanding, *self.watching.services, self.archive.archive]

    async def admitted(self, right: Right, request: web.Request) -> Caller:
        """Who asks, as they are known now, and that they may. Raises Failed where they may not, Unavailable."""
        caller = await self.known(right, request)
        self.check(caller, right, request)
        return caller

    async def known(self, right: Right, request: web.Request) -> Caller:
        """Who asks; nobody in particular only where nobody needs to. Raises Failed, Unavailable."""
        why = "sign in, or send a token"
        try:
            caller = await self.door.caller(request)
        except Invalid as invalid:
            caller, why = None, str(invalid)
        if caller is None:
            if right is Right.NONE:
                return NOBODY
            raise Failed(401, why, headers={"WWW-Authenticate": "Bearer"})
        return caller

    def check(self, caller: Caller, right: Right, request: web.Request) -> None:
        """Raise Failed unless the caller may do this, to the event that the path names where it names one."""
        code = request.match_info.get("code")
        event = self.views.events.view.items.get(code) if code is not None else None
        if not caller.may(right, event.owners if event is not None else ()):
            raise Failed(403, f"{caller.name} ({caller.rank}) may not do this")

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
            raise Unavailable(f"Kafka does not take what is written ({type(error).__name__})") from None

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

    async def refresh(self, caller: Caller, why: str = "") -> list[Answer]:
        """Have every event told again; what each partition of managers answers.

        Raises Unavailable where one does not answer, NotDone where none does.
        """
        numbers = range(partition_count(EVENT_COMMANDS, self.settings))
        asked = [self.commanding.ask(new_command("refresh", "*", caller.name, why), number) for number in numbers]
        found = await asyncio.gather(*asked, return_exceptions=True)
        answers = [one for one in found if isinstance(one, Answer)]
        failed = [one for one in found if isinstance(one, BaseException)]
        if answers and failed and all(isinstance(one, NotDone) for one in failed):
            raise Unavailable(f"not every manager has answered: {failed[0]}")
        for one in failed:
            raise one
        return answers

    async def caught_up(self) -> None:
        """Return once the view of events has what a manager has just told. Raises Unavailable."""
        try:
            await caught_up(self.views.events.view, self.settings.command_timeout)
        except Unavailable as away:
            raise Unavailable(f"it was done, but {away}") from None

    async def audit(self, caller: Caller, action: str, address: str, **rest: Any) -> None:
        """Write an entry of the audit log; where Kafka is away, it is in the process's own log."""
        entry = Audited(at=datetime.now(UTC), who=caller.name, by=caller.by, action=action, address=address, **rest)
        try:
            await self.tell(Outgoing(full_name(AUDIT, self.settings), caller.name.encode(), msgspec.json.encode(entry)))
        except Unavailable as away:
            log.warning("not in the audit log", extra={"entry": msgspec.to_builtins(entry), "why": str(away)})
