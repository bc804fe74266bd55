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
        self._committed_offset: dict[TP, int | None] = {AT: 5}
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
    app = SimpleNamespace(consumer=consumer, on_partitions_assigned=signal, conf=SimpleNamespace(id="group"))
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


def test_what_comes_while_a_look_asks_where_a_partition_begins_is_known_afterwards(
    follower: Continuity, consumer: _Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(*_: object) -> int:
        asked.set()
        await answer.wait()
        return 5

    async def scenario() -> None:
        consumer.end = 7
        consumer._committed_offset = {AT: None}
        monkeypatch.setattr(continuity, "committed_offset", slow)
        looking = asyncio.create_task(follower._look(AT))
        await asked.wait()
        consumer._committed_offset = {AT: 5}
        assert await follower.admit([_event(5)])
        answer.set()
        await looking
        assert await follower.admit([_event(6)])

    asyncio.run(scenario())
    assert consumer.sought == []


def test_where_a_partition_begins_is_asked_again_where_it_was_assigned_once_more_meanwhile(
    follower: Continuity, consumer: _Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [3, 5]

    async def elsewhere(*_: object) -> int:
        if len(answers) == 2:
            await follower._on_assigned(cast(Any, None), {AT})
        return answers.pop(0)

    async def scenario() -> None:
        consumer.end = 6
        consumer._committed_offset = {AT: None}
        monkeypatch.setattr(continuity, "committed_offset", elsewhere)
        assert await follower.admit([_event(5)])

    asyncio.run(scenario())
    assert (consumer.sought, answers) == ([], [])
