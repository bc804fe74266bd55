"""Puts a role together: the Faust app, its agents, and what they share. The composition root."""

from __future__ import annotations

import faust
from mode import Service

from agents.bookkeeping import add_bookkeeping
from agents.classification import add_classification
from agents.commands import add_commands
from agents.delivering import add_delivering
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
from app.clients.notices import ways
from app.clients.people import decode_person
from app.clients.rematches import decode_progress
from app.clients.view import View
from app.domain import coverage, notices, presence
from app.domain.people import Person
from app.domain.rematch import Progress
from app.faustapp import App, make_app
from app.preflight import SecondLook
from app.roles import Role
from app.settings import Settings
from app.topics import ACTIVITY, COVERAGE, MUTES, NOTICES, PEOPLE, PRESENCE, REMATCHES, USED_LINKS, full_name
from app.tracking.lease import Lease
from app.web.desk import Desk
from app.web.health import add_health
from app.web.register import add_pages
from tables.known_activity import KnownActivity
from tables.known_events import KnownEvents


def build(role: Role, settings: Settings) -> faust.App:
    """The app of a role, ready to be run by a Faust worker. Reads no network."""
    app = make_app(role, settings)
    app.producer_only = not roles.tables(role)  # a tracker reads no topic by a group, and Faust fails without any
    events = KnownEvents(settings)
    services: list[Service] = [events.view]
    writer = Writer(settings, events.purged) if role.normalizes else None
    publisher = Publisher(app, settings, ACTIVITY)
    others: View[presence.Entry] | None = None
    if role.manages:
        activity = KnownActivity(settings)
        rematches: View[Progress] = View(settings, full_name(REMATCHES, settings), decode_progress)
        others = View(settings, full_name(PRESENCE, settings), presence.entry)
        services += [activity.view, rematches, others]
        ledger = add_commands(app, settings, events)
        add_purging(app, settings, ledger)
        add_rematching(app, settings, ledger, rematches)
        add_retelling(app, settings, events, ledger)
        add_upkeep(app, settings, ledger, activity)
        services += _add_pages(app, settings, events, activity, rematches, others)
    if role.classifies:
        add_classification(app, settings, events, publisher)
    if writer is not None:
        services.append(writer)
        add_normalization(app, settings, events, publisher, writer)
        services.append(add_bookkeeping(app, settings, writer))
    lease = Lease(settings) if role.tracks and settings.source_names else None
    if lease is not None:
        services += add_tracking(app, settings, events, lease)
    services.append(Presence(app, role, settings, events, writer=writer, lease=lease, told=others))
    add_health(app, settings, events, writer)
    if role.rivals:
        services.append(SecondLook(app, role, settings))
    _start_with(app, services)
    return app


def _add_pages(
    app: App,
    settings: Settings,
    events: KnownEvents,
    activity: KnownActivity,
    rematches: View[Progress],
    others: View[presence.Entry],
) -> list[Service]:
    """The pages and the API, and the notices that they show too."""
    heard: View[coverage.Entry] = View(settings, full_name(COVERAGE, settings), coverage.entry)
    told: View[notices.Entry] = View(settings, full_name(NOTICES, settings), notices.entry)
    mutes: View[notices.Mute] = View(settings, full_name(MUTES, settings), notices.decode_mute)
    people: View[Person] = View(settings, full_name(PEOPLE, settings), decode_person)
    used_links: View[bytes] = View(settings, full_name(USED_LINKS, settings), bytes)
    found = list(ways(settings))
    duty = add_notifying(app, settings, events, heard, told, mutes, [way.name for way in found])
    for way in found:
        add_delivering(app, settings, duty, told, way)
    desk = Desk(app, settings, events, heard, activity, rematches, others, told, mutes, people, used_links)
    add_pages(app, desk)
    return [heard, told, mutes, people, used_links, desk.commanding, *desk.watching.services]


def _start_with(app: faust.App, services: list[Service]) -> None:
    """Start what agents wait for before recovery, so that it is ready by the time they run."""

    async def on_first_start() -> None:
        # Faust's own makes a directory for tables on disk; ours live in memory and their changelogs.
        for service in services:
            await app.add_runtime_dependency(service)

    app.on_first_start = on_first_start
