"""The look for records that never came: what is still on its way is not gone back to."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from agents import continuity
from agents.continuity import Continuity
from app.settings import Settings

AT = TP("classified_tweets", 2)


class _Consumer:
    """Of a consumer what the look asks."""

    flow_active = True

    def __init__(self) -> None:
        self.end = 5
        self.sought: list[dict[TP, int]] = []
        self._committed_offset = {AT: 5}
        self._gap: dict[TP, Any] = {}
        self._unacked_messages: set[Any] = set()

    def highwater(self, _partition: TP) -> int:
        return self.end

    async def seek_wait(self, offsets: dict[TP, int]) -> None:
        self.sought.append(offsets)


@pytest.fixture
def consumer() -> _Consumer:
    return _Consumer()


@pytest.fixture
def follower(consumer: _Consumer, monkeypatch: pytest.MonkeyPatch) -> Continuity:
    async def first(_settings: Settings, _topic: str, _partition: int, offset: int) -> int | None:
        return offset if offset < consumer.end else None

    monkeypatch.setattr(continuity, "first_offset", first)
    signal = SimpleNamespace(connect=lambda *_, **__: None)
    app = SimpleNamespace(consumer=consumer, on_partitions_assigned=signal)
    return Continuity(cast(Any, app), Settings(), [AT.topic])


def _event(offset: int) -> Any:
    return SimpleNamespace(message=SimpleNamespace(tp=AT, offset=offset))


def test_what_was_fetched_this_moment_is_not_gone_back_to(follower: Continuity, consumer: _Consumer) -> None:
    async def scenario() -> None:
        await follower._look(AT)
        for offset in range(5, 9):
            consumer.end = offset + 1
            await follower._look(AT)
            assert await follower.admit([_event(offset)])
            await follower._look(AT)

    asyncio.run(scenario())
    assert consumer.sought == []


def test_what_is_missing_at_a_second_look_is_gone_back_to(follower: Continuity, consumer: _Consumer) -> None:
    async def scenario() -> None:
        consumer.end = 7
        await follower._look(AT)
        await follower._look(AT)

    asyncio.run(scenario())
    assert consumer.sought == [{AT: 5}]


def test_what_comes_while_the_broker_is_asked_is_not_gone_back_to(
    follower: Continuity, consumer: _Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def first(*_: object) -> int:
        await follower.admit([_event(5)])
        return 5

    async def scenario() -> None:
        consumer.end = 6
        await follower._look(AT)
        monkeypatch.setattr(continuity, "first_offset", first)
        await follower._look(AT)

    asyncio.run(scenario())
    assert consumer.sought == []
