"""Who may search stored posts, and write to them, how much at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.clients.archive import Found
from app.domain.annotating import Change
from app.domain.people import Caller
from app.domain.searching import Search
from app.settings import Settings
from app.web import archive_desk
from app.web.archive_desk import MOST_JOBS, MOST_JOBS_OF_ONE, ArchiveDesk
from app.web.problems import Failed
from tests.support.events import active

EVENT = active("flood", "water")
ADA, BEN, CYD = (Caller(name=name, rank="editor", by="token") for name in ("ada", "ben", "cyd"))
WITHIN = 20.0
TELLS_NO_TIME = "https://example.org/a-post"


class Empty:
    """Holds nothing; a search lasts until it is let go."""

    def __init__(self) -> None:
        self.lookups = 0
        self.go = asyncio.Event()

    async def post(self, *_: Any) -> None:
        self.lookups += 1

    async def find(self, *_: Any) -> Found:
        await self.go.wait()
        return Found([], None, complete=True)

    async def annotate(self, *_: Any) -> None:
        """There is nothing."""


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> Empty:
    async def put_job(*_: Any) -> None:
        """It is not kept."""

    monkeypatch.setattr(archive_desk, "put_job", put_job)
    return Empty()


def desk(empty: Empty, a_minute: int) -> ArchiveDesk:
    made = ArchiveDesk(Settings.model_validate({"searches_a_minute": a_minute}), lambda _: EVENT, lambda: 0)
    made.archive = empty  # type: ignore[assignment]
    return made


async def refused(asking: Any) -> int:
    with pytest.raises(Failed) as failed:
        await asking
    return failed.value.problem.status


async def test_who_looks_for_posts_that_tell_no_time_searches(empty: Empty) -> None:
    mine = desk(empty, a_minute=4)
    looks = [mine.whole(ADA, EVENT, TELLS_NO_TIME), mine.annotate(ADA, EVENT, TELLS_NO_TIME, Change(add=("a",)))]
    assert [await refused(look) for look in looks] == [404, 404]
    assert await refused(mine.whole(ADA, EVENT, TELLS_NO_TIME)) == 429
    assert await refused(mine.annotate(ADA, EVENT, TELLS_NO_TIME, Change(add=("a",)))) == 429
    assert empty.lookups == 2
    assert await refused(mine.whole(BEN, EVENT, TELLS_NO_TIME)) == 404


async def test_a_post_whose_id_tells_its_time_is_looked_up_as_often_as_one_likes(empty: Empty) -> None:
    mine = desk(empty, a_minute=4)
    assert {await refused(mine.whole(ADA, EVENT, "1046000000000000000")) for _ in range(10)} == {404}


async def test_one_person_has_a_part_of_all_orders_under_way(empty: Empty) -> None:
    mine = desk(empty, a_minute=1000)

    async def order(caller: Caller) -> None:
        await mine.order(caller, EVENT, Search(), Change(add=("a",)), 10)

    for _ in range(MOST_JOBS_OF_ONE):
        await order(ADA)
    assert await refused(order(ADA)) == 429
    for _ in range(MOST_JOBS - MOST_JOBS_OF_ONE):
        await order(BEN)
    assert await refused(order(CYD)) == 503
    empty.go.set()
    async with asyncio.timeout(WITHIN):
        while mine._jobs:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0)
    await order(ADA)
