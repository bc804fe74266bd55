"""To whom the lease is given: by what each tracker claims, and when a holder offers it to others."""

from __future__ import annotations

from typing import Any, cast

import pytest

from app.domain.watchdog import Volumes
from app.settings import Settings
from app.sources.source import Opened, Selection
from app.tracking import lease as leasing
from app.tracking import ledger as ledgers
from app.tracking.clock import boottime
from app.tracking.lease import FROZEN_SECONDS, Lease
from app.tracking.ledger import Ledger
from app.tracking.staying import Staying
from app.tracking.tracker import Tracker
from tests.support.asleep import sleep


class Cluster:
    def partitions_for_topic(self, topic: str) -> set[int]:
        assert topic == "lease"
        return {0}


def owner(**claims: int) -> str:
    """Who gets the lease."""
    members = {name: Staying(lambda claim=claim: claim).metadata(["lease"]) for name, claim in claims.items()}
    made = Staying(lambda: 0).assign(Cluster(), members)
    (found,) = [name for name, assigned in made.items() if assigned.assignment]
    return found


def test_the_lease_goes_to_the_one_that_claims_most_and_else_to_any() -> None:
    assert owner(a=1, b=3, c=2) == "b"
    assert owner(b=1, a=1) == "a"
    assert owner(a=0, b=1) == "b"
    assert owner(a=0) == "a"


class Asked(Lease):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__(Settings())
        self.asked: list[str] = []

    def offer(self) -> None:
        self.asked.append("offer")

    def keep(self) -> None:
        self.asked.append("keep")


class Holder:
    """A tracker that has the lease, and ledgers of its sources."""

    def __init__(self, *sources: str) -> None:
        self.lease = Asked()
        nothing = cast("Any", type("Nothing", (), {})())
        self._tracker = Tracker(Settings(), {}, self.lease, nothing, nothing, nothing, nothing)
        self.ledgers = {name: Ledger(name, lambda _: None, Volumes(), 25.0) for name in sources}
        self._tracker._ledgers.update(self.ledgers)

    def judged(self) -> list[str]:
        self._tracker._judge()
        asked, self.lease.asked = self.lease.asked, []
        return asked


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    now = [1_800_000_000_000]
    monkeypatch.setattr(ledgers, "now_ms", lambda: now[0])
    return now


def test_a_holder_whom_every_source_refuses_offers_the_lease_after_a_while(clock: list[int]) -> None:
    holder = Holder("x", "bluesky")
    for ledger in holder.ledgers.values():
        ledger.say("refused", "401")
    assert holder.judged() == []
    clock[0] += 30_000
    assert holder.judged() == ["offer"]


@pytest.mark.parametrize("state", ["connecting", "waiting", "idle", "over budget", "standing by"])
def test_a_holder_whom_one_source_does_not_refuse_keeps_the_lease(clock: list[int], state: Any) -> None:
    holder = Holder("x", "bluesky")
    holder.ledgers["x"].say("refused", "401")
    holder.ledgers["bluesky"].say(state, "")
    clock[0] += 3_600_000
    assert holder.judged() == []


def test_a_holder_that_hears_anything_claims_the_lease_again(clock: list[int]) -> None:
    holder = Holder("x", "bluesky")
    holder.ledgers["x"].say("refused", "401")
    holder.ledgers["bluesky"].open(Opened(), Selection(), 1)
    clock[0] += 3_600_000
    assert holder.judged() == ["keep"]


def test_without_a_source_nothing_is_offered(clock: list[int]) -> None:
    assert Holder().judged() == []


def test_a_holder_that_was_frozen_has_no_lease_even_before_it_has_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    lease = Lease(Settings())
    lease._assigned = True
    assert lease.held
    thawed = boottime() + FROZEN_SECONDS
    monkeypatch.setattr(leasing, "boottime", lambda: thawed)
    assert not lease.held


def test_a_holder_whose_machine_slept_has_no_lease_and_is_not_sure_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lease = Lease(Settings())
    lease._assigned, lease._sure = True, boottime()
    assert (lease.held, lease.sure, lease.in_touch) == (True, True, True)
    sleep(monkeypatch, 3600)
    assert (lease.held, lease.sure, lease.in_touch) == (False, False, False)
