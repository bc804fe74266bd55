"""Who may try keywords, how many at once, and what becomes of a preview that nobody waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.advice import Advice
from app.domain.events import Event
from app.domain.people import Caller
from app.domain.preview import Limits
from app.domain.standing_query import query_of
from app.settings import Settings
from app.web import asking_desk
from app.web.asking_desk import ADVICE_A_MINUTE, AskingDesk
from app.web.problems import Failed

EVENT = query_of("flood")
WITHIN = 20.0
NOW = datetime(2026, 5, 1, tzinfo=UTC)


class Trying:
    """Stands for the reading of posts: lasts until it is let go, and notes what became of it."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = self.broken_off = 0

    async def __call__(self, *_: Any) -> Any:
        self.begun += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        return "found"


@pytest.fixture
def trying(monkeypatch: pytest.MonkeyPatch) -> Trying:
    made = Trying()
    monkeypatch.setattr(asking_desk, "preview_of", made)
    monkeypatch.setattr(asking_desk, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(asking_desk, "_WAIT_SECONDS", 0.1)
    return made


def desk(a_minute: int = 60) -> AskingDesk:
    return AskingDesk(Settings.model_validate({"previews_a_minute": a_minute}))


async def ask(desk: AskingDesk, name: str = "ada", *, gone: bool = False) -> Any:
    caller = Caller(name=name, rank="editor", by="token")
    return await desk.preview(caller, EVENT, NOW, Limits(), lambda: gone)


async def begun(trying: Trying, count: int) -> None:
    async with asyncio.timeout(10):
        while trying.begun < count:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0.001)


async def test_a_preview_ends_when_its_reader_leaves(trying: Trying) -> None:
    mine = desk()
    with pytest.raises(ConnectionResetError):
        await ask(mine, gone=True)
    await asyncio.sleep(0)
    assert trying.broken_off == 1
    trying.go.set()
    assert await ask(mine) == "found"


async def test_a_person_has_one_at_a_time(trying: Trying) -> None:
    mine = desk()
    first = asyncio.create_task(ask(mine))
    await begun(trying, 1)
    with pytest.raises(Failed, match="another preview of yours") as failed:
        await ask(mine)
    assert failed.value.problem.status == 429
    trying.go.set()
    assert [await first, await ask(mine)] == ["found", "found"]


async def test_a_process_has_two_at_a_time(trying: Trying, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = desk()
    first = [asyncio.create_task(ask(mine, name)) for name in ("ada", "ben")]
    await begun(trying, 2)
    with pytest.raises(Failed, match="others try") as failed:
        await ask(mine, "eve")
    assert failed.value.problem.status == 503
    monkeypatch.setattr(asking_desk, "_WAIT_SECONDS", WITHIN)
    trying.go.set()
    assert await asyncio.gather(*first, ask(mine, "eve")) == ["found"] * 3


@pytest.fixture
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.limits.monotonic", lambda: 0.0)


@pytest.mark.usefixtures("no_time_passes")
async def test_a_person_may_ask_so_often(trying: Trying) -> None:
    mine = desk(2)
    trying.go.set()
    assert await ask(mine) == "found"
    with pytest.raises(Failed, match="2 previews a minute") as failed:
        await ask(mine)
    assert failed.value.headers["Retry-After"] == "30"
    assert await ask(mine, "ben") == "found"


@pytest.mark.usefixtures("no_time_passes")
def test_a_person_is_advised_so_often() -> None:
    mine = desk()
    ada, ben = (Caller(name=name, rank="editor", by="token") for name in ("ada", "ben"))
    for _ in range(ADVICE_A_MINUTE // 2):
        mine.admit_advice(ada)
    with pytest.raises(Failed, match="120 times a minute") as failed:
        mine.admit_advice(ada)
    assert (failed.value.problem.status, failed.value.headers["Retry-After"]) == (429, "1")
    mine.admit_advice(ben)


async def test_one_person_is_advised_of_one_list_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[str] = []
    first, go_on = threading.Event(), threading.Event()

    def advise(typed: Sequence[str], others: Sequence[Event]) -> list[Advice]:
        begun.append(typed[0])
        if typed[0] != "of ben":
            first.set()
            go_on.wait(WITHIN)
        return []

    monkeypatch.setattr(asking_desk, "advise", advise)
    mine = desk()
    ada, ben = (Caller(name=name, rank="editor", by="token") for name in ("ada", "ben"))
    both = [asyncio.create_task(mine.advice(ada, [f"of ada {number}"], [])) for number in (1, 2)]
    assert await asyncio.to_thread(first.wait, WITHIN)
    await mine.advice(ben, ["of ben"], [])
    assert begun == ["of ada 1", "of ben"]
    go_on.set()
    await asyncio.wait_for(asyncio.gather(*both), WITHIN)
    assert begun[-1] == "of ada 2"
