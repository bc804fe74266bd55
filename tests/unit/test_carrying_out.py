"""In which order it is carried out what sources take back, so that a kill at any place changes no count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from agents.retracting import Retracting, TakenBack
from agents.tenure import Lost
from app.domain.activity import Activity
from app.domain.counting import Seen
from app.domain.partitioning import kafka_partition
from app.domain.retracting import Retraction
from app.domain.trends import Lane, Word
from app.settings import Settings
from tests.support.events import active

AT = 1_714_560_000_000
FLOOD = active("flood")
HOME = kafka_partition("7", Settings().partitions)


class Stopped(Exception):
    """As by a kill."""


class Stack:
    """Kafka and Cassandra with one post of an event, of which each step may be the last; `done` are all of these."""

    def __init__(self, policy: Any = "drop") -> None:
        self.done: list[str] = []
        self.steps = 10_000
        self.mark: str | None = None
        self.stands = self.named = True
        self.activity = Activity(born=FLOOD.born)
        self.activity.count(self._seen())
        self.told: list[set[str]] = []
        events: Any = SimpleNamespace(view=SimpleNamespace(items={"flood": replace(FLOOD, deletions=policy)}))
        shown: Any = SimpleNamespace(changed=lambda told: None, tell=self._tell)
        counts: Any = SimpleNamespace(changed=lambda entries: None)
        trends: Any = SimpleNamespace(retract=self._trends)
        self.agent = Retracting(
            cast("Any", None), Settings(), events, *cast("Any", (self, self, trends, self)), (counts, counts, shown)
        )

    async def _trends(self, words: list[Word]) -> list[Any]:
        return []

    def _seen(self) -> Seen:
        return Seen(0, (1, 0, 0), AT, ("flood",), "de", ("tag",), "ann", "x")

    def step(self, name: str) -> None:
        if len(self.done) >= self.steps:
            raise Stopped
        self.done.append(name)

    async def _tell(self) -> bool:
        self.step("told")
        return True

    def retract(self, *asked: Any) -> Any:
        """Of `activity`, or of the newest posts."""
        return self._count(*asked) if len(asked) == 1 else self._hide(*asked)

    async def _count(self, words: list[Word]) -> tuple[list[Any], dict[Lane, int]]:
        self.step("counted")
        for _, at, posts in words:
            self.activity.retract(at, posts)
        return [], {lane: self.activity.collected for lane, _, _ in words}

    def _hide(self, lane: Lane, gone: set[str], collected: int) -> list[Any]:
        self.told.append(gone)
        return [lane]

    async def perform(self, name: str, values: list[Any]) -> list[Any]:
        await self.perform_together([(name, values)])
        return []

    async def perform_together(self, some: list[tuple[str, list[Any]]]) -> None:
        """All or nothing, as Cassandra takes what is of one partition."""
        self.step(" and ".join(name for name, _ in some))
        for name, values in some:
            if name == "remove":
                self.stands = False
            elif name == "redact":
                self.named = False
            elif name.startswith("mark"):
                self.mark = values[1]

    async def pages(self, name: str, values: list[Any]) -> AsyncIterator[list[Any]]:
        await asyncio.sleep(0)
        moment = datetime(2024, 5, 1)
        tags, account = (["tag"], "ann") if self.named else (None, None)
        way = [{"flood": "text"}, "x", "live", 1, moment, self.mark]
        row = ["flood", "b", "7", moment, "de", tags, None, account, None, *way]
        yield [row] if self.stands and (self.named or name == "of post") else []

    async def read(self, *words: tuple[int, Retraction], lost: bool = False) -> None:
        """A batch with these words, by offset."""
        taken = TakenBack()
        taken.entries += [(HOME, (offset, 0), word) for offset, word in words]

        async def confirm() -> None:
            if lost:
                raise Lost

        await self.agent.carry_out(taken, confirm)


def word(kind: Any, why: str = "") -> Retraction:
    return Retraction(kind=kind, at=AT, post="7", why=why or kind)


async def test_what_another_has_by_now_is_neither_counted_nor_removed() -> None:
    """To look for an account's posts may take longer than a rebalance; its heir's counts must not be overwritten."""
    stack = Stack()
    with pytest.raises(Lost):
        await stack.read((3, word("delete")), lost=True)
    assert stack.done == []
    assert stack.activity.retracted == {}


async def test_a_post_is_counted_and_hidden_before_it_is_removed() -> None:
    stack = Stack()
    await stack.read((3, word("delete")))
    assert stack.done == ["counted", "told", "enter and remove raw and remove terms and remove notes and remove"]
    assert stack.told == [{"7"}]
    assert not stack.stands
    await stack.read((3, word("delete")))
    assert stack.activity.retracted == {"removed": 1}


WORDS = [word("geo"), word("delete"), word("withheld")]


@pytest.mark.parametrize("sweep", [False, True])
@pytest.mark.parametrize(("policy", "end"), [("drop", "removed"), ("redact", "redacted"), ("hold", "held")])
async def test_no_kill_and_no_cut_of_batches_changes_a_count(policy: Any, end: Any, sweep: bool) -> None:
    """Words of a post, or of its account, are read together or apart, and killed at each step of the first reading."""
    words = [replace(one, post="", account="ann", sweep=True) if sweep else one for one in WORDS]
    read = list(enumerate(words, 3))
    whole = Stack(policy)
    await whole.read(*read)
    for cut in range(4):
        for steps in range(len(whole.done) + 12):
            stack = Stack(policy)
            stack.steps = steps
            try:
                for some in (read[:cut], read[cut:]):
                    await stack.read(*some)
            except Stopped:
                stack.steps = 10_000
                for one in read:
                    await stack.read(one)
            counts = stack.activity
            assert counts.retracted == {end: 1}, (cut, steps)
            assert (counts.posts, counts.collected) == (0 if end == "removed" else 1, 1)
            assert counts.hashtags == ({"tag": 1} if end == "held" else {})
            assert stack.stands is (end != "removed")
            assert (stack.mark or "").startswith(end) or end == "removed"


async def test_a_policy_that_becomes_another_moves_what_is_counted() -> None:
    stack = Stack("hold")
    await stack.read((3, word("delete")))
    assert stack.activity.retracted == {"held": 1}
    stack.agent._events.view.items["flood"] = replace(FLOOD, deletions="drop")
    await stack.read((9, word("delete")))
    assert stack.activity.retracted == {"removed": 1}
    assert (stack.activity.posts, stack.activity.collected) == (0, 1)
