"""What a coordinator says while it is being made, or reads its groups, is not that there is nobody and nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupLoadInProgressError, UnknownError
from aiokafka.structs import OffsetAndMetadata

from app.clients.kafka import committed_offsets, live_members

LOADING = (14, "group", "", "", "", [])
GONE = (69, "group", "Dead", "", "", [])
STABLE = (0, "group", "Stable", "consumer", "range", [("one",), ("two",)])
PLACE = TopicPartition("raw_tweets", 0)


class Coordinator:
    """Answers each question as told, the last one for ever. Errors in an answer are left to the one who asked."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def describe_consumer_groups(self, _groups: list[str]) -> list[Any]:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [SimpleNamespace(groups=[answer])]

    async def list_consumer_group_offsets(self, _group: str, partitions: Any = None) -> dict[Any, Any]:
        loaded = self._answers == [STABLE]
        return {PLACE: OffsetAndMetadata(7, "")} if loaded else {}


async def test_a_group_that_is_being_loaded_is_asked_for_again() -> None:
    coordinator = Coordinator(LOADING, GroupLoadInProgressError(), LOADING, STABLE)
    assert await live_members(coordinator, "group") == 2  # type: ignore[arg-type]
    assert coordinator.asked == 4
    assert await committed_offsets(Coordinator(LOADING, STABLE), "group") == {PLACE: 7}  # type: ignore[arg-type]


async def test_a_group_that_is_not_there_has_nobody() -> None:
    assert await live_members(Coordinator(GONE), "group") == 0  # type: ignore[arg-type]


async def test_any_other_error_is_one() -> None:
    with pytest.raises(UnknownError):
        await live_members(Coordinator((-1, "group", "", "", "", [])), "group")  # type: ignore[arg-type]
