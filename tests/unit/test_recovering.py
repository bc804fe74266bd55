"""The end of a recovery, as Faust has it and as we have it."""

from __future__ import annotations

import asyncio

import pytest
from faust.tables.recovery import Recovery, ServiceStopped
from faust.types import TP

from app.errors import Unavailable
from app.faustapp import App, make_app
from app.recovering import CalmRecovery
from app.roles import Role
from app.settings import Settings


@pytest.fixture
async def app() -> App:
    return make_app(Role.WORKER, Settings())


def recovery(app: App) -> CalmRecovery:
    found = app.tables.recovery
    assert isinstance(found, CalmRecovery)
    return found


@pytest.mark.parametrize(("assigned", "flows"), [({TP("raw_tweets", 0)}, False), (set(), True)])
async def test_nothing_comes_before_the_seek(
    app: App, assigned: set[TP], flows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    flowed = []

    async def faust_s_own(self: Recovery, generation_id: int = 0) -> None:
        flowed.append(self.app.consumer.flow_active)

    monkeypatch.setattr(Recovery, "on_recovery_completed", faust_s_own)
    monkeypatch.setattr(app.consumer, "assignment", lambda: assigned)
    app.consumer.resume_flow()
    await recovery(app).on_recovery_completed()
    assert flowed == [flows]


async def test_a_step_that_takes_too_long_is_no_stop(app: App) -> None:
    with pytest.raises(Unavailable, match="Kafka has not answered within 0 s"):
        await recovery(app)._wait(asyncio.sleep(60), timeout=0.01)


async def test_a_stop_is_one(app: App) -> None:
    recovery(app)._stopped.set()
    with pytest.raises(ServiceStopped):
        await recovery(app)._wait(asyncio.sleep(60), timeout=60)
