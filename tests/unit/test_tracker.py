"""Who takes over while posts are on disk waits for them, and says so."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import pytest

from app.domain.coverage import Entry, Interval, Outage, SourceStatus, entry
from app.domain.watchdog import Volumes
from app.settings import Settings
from app.tracking import tracker
from app.tracking.budget import Budget, month_of
from app.tracking.ledger import Ledger
from app.tracking.listening import STOPPED
from app.tracking.parcel import Parcel
from app.tracking.tracker import Tracker
from app.tracking.wishing import Wisher

UNREAD = "a file cannot be read"
HOUR = 3_600_000


class Disk:
    """An outbox whose spool is looked at so many times before it is sent; at the second one it cannot be read."""

    end = 1

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def is_past(self, place: int) -> bool:
        self.looks -= 1
        return self.looks <= 0

    @property
    def unread(self) -> str | None:
        return UNREAD if self.looks == 1 else None


class Lease:
    generation = 7


class View:
    """Of a ledger in which more stands once it has caught up; the first time Kafka is away."""

    def __init__(self, *more: Entry) -> None:
        self.items: dict[str, Entry] = {}
        self.caught_up = -1
        self.more = more

    async def catch_up(self) -> None:
        self.caught_up += 1
        if not self.caught_up:
            raise TimeoutError
        self.items.update({str(number): one for number, one in enumerate(self.more)})


def tracking(disk: Disk, view: View) -> tuple[Tracker, Ledger, list[Entry]]:
    told: list[Entry] = []

    def put(parcel: Parcel) -> None:
        told.append(entry(parcel.value))

    given: list[Any] = [Lease(), disk, None, None, view]
    return Tracker(Settings(), {}, *given), Ledger("bluesky", put, Volumes(), 25.0), told


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "_RETRY_SECONDS", 0.0)


async def test_what_is_waited_for_is_told_as_the_reason_why_nothing_is_heard() -> None:
    view = View()
    made, ledger, told = tracking(Disk(looks=4), view)
    await made._spooled_sent(ledger)
    states = [(one.state, one.words) for one in told if isinstance(one, SourceStatus)]
    first = "what was kept on disk goes to Kafka first"
    assert states == [("waiting", first), ("waiting", UNREAD)]
    outages = {one.key + one.why: one for one in told if isinstance(one, Outage)}.values()
    assert [(one.why, one.generation, one.ended is None) for one in outages] == [(first, 7, False), (UNREAD, 7, True)]
    assert view.caught_up == 1, "the newest cursor may be what was on disk"


async def test_who_loses_the_lease_meanwhile_leaves_no_outage_that_goes_on() -> None:
    made, ledger, told = tracking(Disk(looks=10**6), View())
    waiting = asyncio.create_task(made._spooled_sent(ledger))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert [cast(Outage, one).ended for one in told if isinstance(one, Outage)][-1] == STOPPED


async def test_where_nothing_is_on_disk_nothing_is_waited_for() -> None:
    view = View()
    made, ledger, told = tracking(Disk(looks=1), view)
    await made._spooled_sent(ledger)
    assert (told, view.caught_up) == ([], -1)


def heard(since: int, until: int, **rest: Any) -> Interval:
    return Interval(**{"source": "x", "connection": "c", "opened": since, "since": since, "until": until} | rest)


async def test_what_was_heard_by_what_is_on_disk_is_known_before_it_would_be_searched_for() -> None:
    view = View(heard(10, 20), heard(20, 30), heard(40, 50, origin="search"), heard(60, 70, source="bluesky"))
    made, _, _ = tracking(Disk(looks=4), view)
    assert await made._heard("x") == [(10, 30)]
    made, _, _ = tracking(Disk(looks=1), view)
    assert await made._heard("x") == [], "nothing is on disk: what the ledger has was known before"


async def test_a_wish_is_not_gone_on_with_before_the_disk_has_told_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[int] = []

    async def run(self: Wisher) -> None:
        begun.append(disk.looks)

    monkeypatch.setattr(Wisher, "run", run)
    disk = Disk(looks=4)
    made, _, _ = tracking(disk, View())
    await made._wish("bluesky", asyncio.create_task(made._count_spooled()))
    assert begun == [0]


async def test_what_was_paid_for_and_stood_on_disk_alone_counts_once_it_is_in_the_ledger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = int(time.time() * 1000)
    monkeypatch.setattr("app.tracking.budget.time", lambda: now / 1000)  # a month may end meanwhile
    month = month_of(now / 1000)
    known = heard(1, 2, reads={month: 5})
    made, _, _ = tracking(
        Disk(looks=4),
        View(
            known,
            heard(3, 9, connection="spooled", reads={month: 40}),
            heard(4, 9, source="x-v1", reads={month: 1000}),
            heard(now + HOUR, now + HOUR, connection="mine", reads={month: 7}),
        ),
    )
    budget = made._budgets["x"] = Budget(Settings(), "x", [known])
    budget.read(7)
    await made._count_spooled()
    assert budget.reads == 5 + 40 + 7
