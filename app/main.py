"""Puts a role together: the Faust app, its agents, and what they share. The composition root."""

from __future__ import annotations

import faust
from mode import Service

from agents.bookkeeping import add_bookkeeping
from agents.classification import add_classification
from agents.commands import add_commands
from agents.delivering import add_delivering
from agents.exporting import add_exporting
from agents.indexing import Indexing
from agents.normalization import add_normalization
from agents.notifying import add_notifying
from agents.presence import Presence
from agents.publishing import Publisher
from agents.purging import add_purging
from agents.rematching import add_rematching
from agents.retelling import add_retelling
from agents.tracking import add_tracking
from agents.upkeep import add_upkeep
from app import roles
from app.clients.cassandra import Writer
from app.clients.indexing import IndexWriter
from app.clients.notices import ways
from app.exporting.store import Store
from app.faustapp import App, make_app
from app.preflight import SecondLook
from app.roles import Role
from app.settings import Settings
from app.topics import ACTIVITY
from app.tracking.lease import Lease
from app.web.desk import Desk
from app.web.health import add_health
from app.web.measuring import add_measuring
from app.web.register import add_pages
from tables.known_events import KnownEvents
from tables.known_ledger import KnownLedger
from tables.manager_views import ManagerViews


def build(role: Role, settings: Settings) -> faust.App:
    """The app of a role, ready to be run by a Faust worker. Reads no network."""
    app = make_app(role, settings)
    app.producer_only = not roles.tables(role)  # a tracker reads no topic by a group, and Faust fails without any
    events = KnownEvents(settings)
    services: list[Service] = [events.view]
    writer = Writer(settings, events.purged) if role.normalizes else None
    publisher = Publisher(app, settings, ACTIVITY)
    heard = KnownLedger(settings)
    if role.manages or role.normalizes:
        services.append(heard.view)
    views = ManagerViews(settings, events, heard) if role.manages else None
    if views is not None:
        services += views.own
        ledger = add_commands(app, settings, events)
        add_purging(app, settings, ledger)
        add_rematching(app, settings, ledger, views.rematches)
        add_retelling(app, settings, events, ledger)
        add_upkeep(app, settings, ledger, views.activity)
        add_exporting(app, settings, events, ledger, views.exports, views.heard, views.activity, Store(settings))
        _add_notices(app, settings, views)
        desk = Desk(app, settings, views)
        add_pages(app, desk)
        add_measuring(app, settings, views, desk.watching)
        services += desk.services
        if settings.provisioning != "off":
            services += _add_provisioning(app, desk)
    if role.classifies:
        add_classification(app, settings, events, publisher)
    if writer is not None:
        services.append(writer)
        add_normalization(app, settings, events, heard, publisher, writer)
        add_bookkeeping(app, settings, heard.view, writer)
    indexing = None
    if role.indexes:
        index = IndexWriter(settings, events.purged, events.policy)
        indexing = Indexing(app, settings, events, index)
        services += [index, indexing]
        writer = writer or index
    lease = Lease(settings) if role.tracks and settings.source_names else None
    if lease is not None:
        services += add_tracking(app, settings, events, lease)
    services.append(
        Presence(app, role, settings, events, writer=writer, lease=lease, told=views.processes if views else None)
    )
    add_health(app, settings, events, writer, indexing)
    if role.rivals:
        services.append(SecondLook(app, role, settings))
    _start_with(app, services)
    return app


def _add_notices(app: App, settings: Settings, views: ManagerViews) -> None:
    found = list(ways(settings))
    names = [way.name for way in found]
    duty = add_notifying(app, settings, views.events, views.heard, views.notices, views.mutes, names)
    for way in found:
        add_delivering(app, settings, duty, views.notices, way)


def _add_provisioning(app: App, desk: Desk) -> list[Service]:
    # Imported here: the client of Kubernetes takes 90 MB and more than a second.
    from agents.provisioning import add_provisioning  # noqa: PLC0415
    from app.web.lag_metric import LagMetric  # noqa: PLC0415

    desk.provisioning = add_provisioning(app, desk.settings, desk.views, desk.watching.lags)
    if desk.settings.autoscaler != "hpa":
        return []
    return [LagMetric(desk.settings, lambda: desk.watching.lags.behind)]


def _start_with(app: faust.App, services: list[Service]) -> None:
    """Start what agents wait for before recovery, so that it is ready by the time they run."""

    async def on_first_start() -> None:
        # Faust's own makes a directory for tables on disk; ours live in memory and their changelogs.
        for service in services:
            await app.add_runtime_dependency(service)

    app.on_first_start = on_first_start
