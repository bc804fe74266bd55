"""Provisioning: has the cluster run what the events and the lag ask for (the thesis's infrastructure controller).

Exactly one manager does it. Should two for a moment, because one was frozen, they want the same and say it by
server-side apply, so the second changes nothing. An API server that is away is asked again, later and later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from time import time

from agents.duty import Duty
from app.clients.cluster import Denied, cluster
from app.clients.lags import Lags
from app.clients.reconciling import Reconciler
from app.domain import lag
from app.domain.provisioning import Demand, Outcome, Provisioned, demand
from app.errors import Unavailable, UserError
from app.faustapp import App
from app.metrics import REPLICAS_LEAST
from app.settings import Settings
from tables.manager_views import ManagerViews

log = logging.getLogger(__name__)

LOOK_SECONDS = 3.0
AGAIN_SECONDS = (2.0, 60.0)  # after the API server was away: at first, at most
PATIENCE = 10  # looks: half a minute


class Provisioning:
    """What a manager knows of it; `last` is None until it has had the duty."""

    def __init__(self, settings: Settings, views: ManagerViews, lags: Lags) -> None:
        self.dry_run = settings.provisioning == "dry-run"
        self._views = views
        self._lags = lags
        self._least: dict[str, int] = {}
        self._away = ""  # why the API server does not answer, as it was told last
        self.last: Provisioned | None = None

    def demand(self) -> Demand:
        """What is asked of the cluster now."""
        posts = self._lags.of_posts
        return demand(
            self._views.events.view.items.values(),
            self._views.rematches.items,
            self._views.heard.items.values(),
            None if posts is None else lag.unread(posts),
            self._lags.behind or {},
            datetime.now(UTC),
            self._lags.unindexed or 0,
        )

    async def look(self, reconciler: Reconciler) -> None:
        """Bring the cluster to what is asked for. Raises Unavailable, Denied."""
        asked = self.demand()
        outcomes = await reconciler.look(asked)
        for outcome in outcomes:
            self._tell(outcome)
        self.show(outcomes)
        self.last = Provisioned(at=int(time() * 1000), dry_run=self.dry_run, demand=asked, roles=tuple(outcomes))
        self._away = ""

    def _tell(self, outcome: Outcome) -> None:
        for change in outcome.changed:
            log.info("provisioned", extra={"change": change, "dry_run": self.dry_run})
        before = {(one.name, one.trouble) for one in self.last.roles} if self.last else set()
        if outcome.trouble and (outcome.name, outcome.trouble) not in before:
            log.warning("a role cannot be provisioned", extra={"role": outcome.role, "why": outcome.trouble})

    def show(self, outcomes: Iterable[Outcome]) -> None:
        """What each role shall have at least; where that is not known, what it was."""
        before = self._least
        self._least = {}
        for outcome in outcomes:
            wanted = outcome.wanted
            if wanted.running is not None:
                self._least[outcome.role] = wanted.replicas if wanted.running else 0
            elif outcome.role in before:
                self._least[outcome.role] = before[outcome.role]
        REPLICAS_LEAST.clear()
        for role, replicas in self._least.items():
            REPLICAS_LEAST.labels(role).set(replicas)

    def rest(self) -> None:
        """Another manager provisions."""
        self._least = {}
        REPLICAS_LEAST.clear()

    def failed(self, why: str) -> None:
        """Note that the API server was not there."""
        if self._away != why:
            log.warning("provisioning waits for the API server", extra={"why": why})
        self._away = why


def add_provisioning(app: App, settings: Settings, views: ManagerViews, lags: Lags) -> Provisioning:
    """Give the app its task."""
    duty = Duty(app, settings)
    provisioning = Provisioning(settings, views, lags)

    @app.task
    async def provisioner() -> None:
        """Look again and again."""
        await app.may_work.wait()
        await asyncio.gather(*(view.wait_complete() for view in (views.events.view, views.rematches, views.heard)))
        pause = AGAIN_SECONDS[0]
        while not app.should_stop:
            try:
                async with cluster(settings) as found:
                    reconciler = Reconciler(found, settings, dry_run=provisioning.dry_run, patience=PATIENCE)
                    while not app.should_stop:
                        if duty.generation is not None:
                            await provisioning.look(reconciler)
                            pause = AGAIN_SECONDS[0]
                        else:
                            provisioning.rest()
                        await asyncio.sleep(LOOK_SECONDS)
            except (Unavailable, Denied, UserError) as away:
                provisioning.failed(str(away))
                await asyncio.sleep(pause)
                pause = min(2 * pause, AGAIN_SECONDS[1])

    return provisioning
