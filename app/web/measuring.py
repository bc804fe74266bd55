"""What a manager sees of the whole, as figures on `/metrics`: what alerts follow from.

Every manager shows the same, so who reads them takes the largest. What is not known now has no figure: while Kafka is
away, nobody can say who lags or what is not heard.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.conditions import gaps
from app.domain.coverage import Entry
from app.domain.events import Event
from app.domain.lag import Lag
from app.domain.presence import Process
from app.domain.reach import Reach
from app.faustapp import App
from app.metrics import (
    EVENTS_COLLECTING,
    GAP_SECONDS,
    LAG_RECORDS,
    LAG_SECONDS,
    LEASE_HOLDERS,
    LEASE_WANTED,
    SERVER_UP,
)
from app.settings import Settings
from app.web.watching import Watching, now_ms
from tables.manager_views import ManagerViews

SECONDS = 5.0


def add_measuring(app: App, settings: Settings, views: ManagerViews, watching: Watching) -> None:
    """Give the app the timer that does it."""

    @app.timer(SECONDS)
    async def measuring() -> None:
        show_reach("kafka", watching.lags.reach)
        show_reach("cassandra", watching.cassandra.reach)
        up = watching.lags.reach.up
        show_lags([*watching.lags.found, *watching.lags.index] if up else ())
        if up and not views.incomplete:
            events, ledger = list(views.events.view.items.values()), list(views.heard.items.values())
            show_events(events, ledger, watching.processes(), bool(settings.source_names), now_ms())
        else:
            GAP_SECONDS.clear()


def show_reach(server: str, reach: Reach) -> None:
    """Whether a server answers; nothing before it is known."""
    if reach.up is not None:
        SERVER_UP.labels(server).set(reach.up)


def show_lags(found: Iterable[Lag]) -> None:
    """How far each role is behind in each topic, and in no other."""
    LAG_RECORDS.clear()
    LAG_SECONDS.clear()
    seconds: dict[tuple[str, str], float] = {}
    for lag in found:
        place = lag.role, lag.topic
        LAG_RECORDS.labels(*place).inc(lag.records)
        seconds[place] = max(lag.seconds, seconds.get(place, 0.0))
    for place, longest in seconds.items():
        LAG_SECONDS.labels(*place).set(longest)


def show_events(
    events: list[Event], ledger: list[Entry], processes: Iterable[Process], listens: bool, now: int
) -> None:
    """What collects, who listens, and what is not heard. `listens`: there are live sources to listen to."""
    collecting = sum(event.collecting for event in events)
    EVENTS_COLLECTING.set(collecting)
    LEASE_WANTED.set(bool(collecting and listens))
    LEASE_HOLDERS.set(sum(one.lease is True and not one.silent(now) for one in processes))
    GAP_SECONDS.clear()
    for gap in gaps(events, ledger, now, 0):
        event = gap.events[0] if gap.key.count("|") > 1 else ""
        GAP_SECONDS.labels(gap.source, event).set((now - gap.since) / 1000)
