"""What must be true before a worker joins its group; Faust would hang or do work twice where it is not.

One thing can only be seen after: two rivals that start at the same moment do not see each other before.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from mode import Service

from app.clients.handover import ahead, hand_over
from app.clients.kafka import admin, live_members, unreachable
from app.clients.migrate import wanted_topics
from app.errors import Unavailable, UserError
from app.faustapp import App
from app.roles import Role, app_id
from app.settings import Settings
from app.tracking.spool import check_usable


class SecondLook(Service):
    """Looks for rivals once more when this process has joined its group, and only then lets its agents work.

    Of two that start at the same moment the one that looks last sees the other. The one that yields ends at once, the
    other waits until it has gone.
    """

    abstract = False
    logger = logging.getLogger("mode.second_look")

    def __init__(self, app: App, role: Role, settings: Settings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._app = app
        self._role = role
        self._settings = settings

    @Service.task
    async def _look(self) -> None:
        """Let the agents work, or end the process."""
        while not self.should_stop:
            try:
                async with admin(self._settings) as client:
                    while not await live_members(client, app_id(self._role, self._settings)):
                        await self.sleep(0.3)
                    await _check_rivals(client, self._role, self._settings, yielding=True)
            except (KafkaError, Unavailable):
                await self.sleep(2)  # Kafka is away, and the rival's work stands still too
            except UserError as refused:
                await self.crash(refused)
                return
            else:
                self._app.may_work.set()
                return


async def check(role: Role, settings: Settings) -> None:
    """Raise UserError if the web port is taken, the spool cannot be used, topics are missing or of another size, or a
    rival role is at work.

    Raises Unavailable where Kafka does not answer.
    """
    _check_port(settings)
    if role.tracks and settings.source_names:
        check_usable(settings.spool)
    async with _asked(settings) as client:
        await _check_topics(client, settings)
        await _check_rivals(client, role, settings)
        await _check_place(client, role, settings)


def _check_port(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.web_host, settings.web_port))
        except OSError as error:
            raise UserError(
                f"cannot serve health pages at {settings.web_host}:{settings.web_port} ({error.strerror}); "
                "give another --web-port"
            ) from None


async def _check_topics(client: AIOKafkaAdminClient, settings: Settings) -> None:
    wanted = {topic.name: topic.partitions for topic in wanted_topics(settings)}
    present = {topic["topic"]: len(topic["partitions"]) for topic in await client.describe_topics()}
    missing = sorted(set(wanted) - set(present))
    if missing:
        raise UserError(f"Kafka has no topic {missing[0]} ({len(missing)} missing); `starling migrate` makes them")
    for name, partitions in wanted.items():
        if present[name] != partitions:
            raise UserError(
                f"topic {name} has {present[name]} partitions, the settings say {partitions}; "
                f"`starling migrate` grows topics, STARLING_PARTITIONS must not be less than they have"
            )


async def _check_rivals(client: AIOKafkaAdminClient, role: Role, settings: Settings, *, yielding: bool = False) -> None:
    """Kafka takes a rival that was killed for alive until its session ends: wait that long before refusing.

    Where the role is `yielding`, do not wait for rivals to which it yields.
    """
    deadline = monotonic() + settings.session_timeout + 1
    for rival in role.rivals:
        while running := await live_members(client, app_id(rival, settings)):
            if monotonic() > deadline or (yielding and role.yields_to(rival)):
                raise UserError(
                    f"role {role} would do the work of role {rival} a second time, which has {running} running; "
                    "stop those first"
                )
            await asyncio.sleep(0.5)


async def _check_place(client: AIOKafkaAdminClient, role: Role, settings: Settings) -> None:
    """A role that began where it was last, or at the start, would do again what another has done since."""
    for last in await ahead(client, role, settings):
        raise UserError(
            f"role {last.role} has worked on {last.partition.topic} since; "
            f"`starling migrate --role {role}` lets role {role} go on where it ended"
        )


async def take_over(role: Role, settings: Settings) -> bool:
    """Bring a role to where its rivals have ended; whether there was anything. Raises UserError, Unavailable."""
    async with _asked(settings) as client:
        for one in (role, *role.rivals):
            if await live_members(client, app_id(one, settings)):
                raise UserError(f"role {one} is running; stop it first")
        return bool(await hand_over(client, role, settings))


@asynccontextmanager
async def _asked(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client whose errors are told in one line. Raises Unavailable."""
    try:
        async with admin(settings) as client:
            yield client
    except (KafkaError, TimeoutError) as error:
        raise unreachable(settings, error) from None
