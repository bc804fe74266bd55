"""Consumer groups from outside: how far they are, and the end of a member that died."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.group import LeaveGroupRequest

from app.clients.kafka import admin, committed_offsets, connection, describe_group
from app.roles import EVENT_ACTIVITY, Role, app_id, changelog
from app.settings import Settings
from app.topics import CLASSIFIED, RAW, full_name


class Watch:
    """Looks at a role's topics and group as often as asked, by connections that stay open."""

    def __init__(self, settings: Settings, role: str) -> None:
        self._settings = settings
        self._group = app_id(Role(role), settings)
        self._raw = full_name(RAW, settings)
        self._classified = full_name(CLASSIFIED, settings)
        self._activity = changelog(Role(role), EVENT_ACTIVITY, settings)
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> Watch:
        self._run(self._open())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._run(self._close())
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)

    async def _open(self) -> None:
        self._consumer = AIOKafkaConsumer(**connection(self._settings), enable_auto_commit=False)
        self._admin = AIOKafkaAdminClient(**connection(self._settings))
        await self._consumer.start()
        await self._admin.start()
        await self._consumer._client.force_metadata_update()

    async def _close(self) -> None:
        await self._consumer.stop()
        await self._admin.close()

    def progress(self) -> dict[str, int]:
        """Sums over partitions: records classified, counts written, and what was committed of both topics."""
        committed = self._run(committed_offsets(self._admin, self._group))
        return {
            "classified": self._end(self._classified),
            "counted": self._end(self._activity),
            "raw committed": _sum(committed, self._raw),
            "classified committed": _sum(committed, self._classified),
        }

    def unread(self) -> int:
        """Records that the group has not committed."""
        now = self.progress()
        return self._end(self._raw) - now["raw committed"] + now["classified"] - now["classified committed"]

    def _end(self, topic: str) -> int:
        partitions = [TopicPartition(topic, number) for number in self._consumer.partitions_for_topic(topic) or ()]
        return sum(self._run(self._consumer.end_offsets(partitions)).values())


async def members(settings: Settings, role: str) -> set[str]:
    """Ids of the members of a role's group, dead ones too until their session ends."""
    async with admin(settings) as client:
        return await _members(client, app_id(Role(role), settings))


async def evict(settings: Settings, role: str, dead: set[str]) -> None:
    """Take dead members out of a role's group once another has joined, as the broker does when their session ends.

    Not before: a group without members waits three seconds for more.
    """
    group = app_id(Role(role), settings)
    async with admin(settings) as client:
        async with asyncio.timeout(180):
            while not await _members(client, group) - dead:  # noqa: ASYNC110 -- nobody tells
                await asyncio.sleep(0.05)
        for member in dead:
            node = await client.find_coordinator(group)
            await client._send_request_to_node(node, LeaveGroupRequest(group, member))


async def _members(client: AIOKafkaAdminClient, group: str) -> set[str]:
    return {
        member[0]
        for response in await describe_group(client, group)
        for _error, _group, _state, _kind, _protocol, listed, *_rest in response.groups
        for member in listed
    }


def _sum(committed: dict[TopicPartition, int], topic: str) -> int:
    return sum(offset for tp, offset in committed.items() if tp.topic == topic)
