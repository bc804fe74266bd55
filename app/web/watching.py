"""What is looked at while it happens: the services that follow it, and what they say put together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from mode import Service
from msgspec import Struct

from app.clients.dead_letters import DeadLetters
from app.clients.lags import Lags
from app.clients.reaching import CassandraReach
from app.domain import coverage, newest
from app.domain.coverage import Interval, SourceStatus, intervals_of, statuses_of
from app.domain.diagnosis import TROUBLE, Diagnosing, Facts, Finding
from app.domain.events import Event
from app.domain.figures import Figures, Series, Span, figures, per_minute
from app.domain.letters import kinds
from app.domain.newest import Newest, NewPost
from app.domain.presence import Holding, Process, holdings, processes
from app.domain.strip import Strip, strips
from app.settings import Settings
from app.tracking.budget import PAID, Budget, month_of
from tables.manager_views import ManagerViews

_KEPT_SECONDS = 1.0
_MOST_KEPT = 64
T = TypeVar("T")


class Glance(Struct, frozen=True):
    """An event among all: how it is, in one line."""

    code: str
    name: str
    status: str
    posts: int
    per_minute: float
    finding: Finding  # the worst


class Spent(Struct, frozen=True):
    """What was read this month of a source that charges for it."""

    source: str
    month: str
    read: int
    forecast: int | None  # by the end of the month; None on its first day
    soft: int | None  # beyond which it is told
    hard: int | None  # at which the source is left


class Live(Struct, frozen=True):
    """What the live part of an event's page shows."""

    figures: Figures
    strips: list[Strip]
    findings: list[Finding]
    holdings: list[Holding]


class Watching:
    """One of a process. Beside what the views have: lag, servers, dead letters."""

    def __init__(self, settings: Settings, views: ManagerViews) -> None:
        self._settings = settings
        self._views = views
        self.letters = DeadLetters(settings)
        self.lags = Lags(settings, self.processes)
        self.cassandra = CassandraReach(settings)
        self.replaying = asyncio.Lock()  # two wishes at once would send the same letter twice
        self._kept: dict[object, tuple[float, object]] = {}
        self._now_heard: tuple[int, list[coverage.Entry]] = (-1, [])

    @property
    def services(self) -> list[Service]:
        """What the process runs for it."""
        return [self.letters, self.lags, self.cassandra]

    def processes(self) -> list[Process]:
        """The processes that there are."""
        return processes(list(self._views.processes.items.values()), now_ms())

    def live(self, event: Event, span: Span) -> Live:
        """All that is shown of an event while it happens: its counts as they are, the rest at most a second old."""
        key = ("live", event.code, event.version, span, self._views.activity.of(event).posts)
        return self._keep(key, lambda: self._live(event, span))

    def letter_kinds(self) -> list[tuple[str, int]]:
        """Why letters are dead, and how many for each reason, the commonest first."""
        return self._keep("letter kinds", lambda: kinds(list(self.letters.index.letters.values())))

    def glances(self) -> list[Glance]:
        """All events that are not deleted, in the order in which they are looked at."""
        return self._keep("glances", self._glances)

    def findings(self, event: Event, diagnosing: Diagnosing) -> list[Finding]:
        """What is to be said of an event."""
        last = max((post.received_at for part in self.parts(event).values() for post in part.posts), default=None)
        return diagnosing.of(event, last)

    def facts(self) -> Facts:
        """What there is to be said of every event."""
        return Facts(
            now=now_ms(),
            ledger=self._now(),
            presence=list(self._views.processes.items.values()),
            lags=self.lags.found,
            kafka=self.lags.reach,
            cassandra=self.cassandra.reach,
        )

    def parts(self, event: Event) -> dict[int, Newest]:
        """The newest posts of an event by partition, of its present life."""
        found = newest.of_event(event.code, self._views.newest.items, range(self._settings.partitions))
        return {number: part for number, part in found.items() if part.born == event.born}

    def statuses(self) -> list[SourceStatus]:
        """How the sources are."""
        return sorted((coverage.as_of(one, now_ms()) for one in statuses_of(self._now())), key=lambda one: one.source)

    def spent(self) -> list[Spent]:
        """What was read of the sources that charge, of those that are listened to."""
        return self._keep("spent", self._spent)

    def _live(self, event: Event, span: Span) -> Live:
        facts = self.facts()
        counted = figures(self._views.activity.of(event), span, facts.now)
        holding = holdings(event, facts.presence, statuses_of(facts.ledger), facts.now)
        findings = self.findings(event, Diagnosing(facts))
        return Live(counted, self._strips(event, counted.series, facts.now), findings, holding)

    def _strips(self, event: Event, series: Series, now: int) -> list[Strip]:
        return strips(event, list(self._views.heard.items.values()), (series.since, min(series.until, now)), now)

    def _glances(self) -> list[Glance]:
        facts = self.facts()
        diagnosing = Diagnosing(facts)
        found = []
        for event in list(self._views.events.view.items.values()):
            if event.status in ("deleted", "purging"):
                continue
            activity = self._views.activity.of(event)
            worst = self.findings(event, diagnosing)[0]
            rate = per_minute(activity, facts.now)
            found.append(Glance(event.code, event.name, event.status, activity.posts, rate, worst))
        return looked_at(found)

    def _spent(self) -> list[Spent]:
        intervals = intervals_of(list(self._views.heard.items.values()))
        month = month_of(time.time())
        found = []
        for source in sorted({one.source for one in intervals if one.source in PAID}):
            budget = Budget(self._settings, source, intervals)
            limits = self._settings.x_reads_soft, self._settings.x_reads_hard
            found.append(Spent(source, month, budget.reads, budget.forecast(), *limits))
        return found

    def _now(self) -> list[coverage.Entry]:
        """Of the ledger what says how it is now; the rest may be thousands."""
        version = self._views.heard.version
        if self._now_heard[0] != version:
            entries = [one for one in list(self._views.heard.items.values()) if _is_of_now(one)]
            self._now_heard = version, entries
        return self._now_heard[1]

    def _keep(self, key: object, make: Callable[[], T]) -> T:
        """What was made a moment ago, else made now: many may look at the same."""
        now = time.monotonic()
        known = self._kept.get(key)
        if known is not None and now - known[0] < _KEPT_SECONDS:
            return known[1]  # type: ignore[return-value]
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        made = make()
        self._kept[key] = now, made
        return made


def looked_at(glances: Iterable[Glance]) -> list[Glance]:
    """Events that collect first; of these those with which something is wrong, be they ever so quiet, then by rate."""

    def order(one: Glance) -> tuple[bool, bool, float, str]:
        return one.status != "active", one.finding.level not in TROUBLE, -one.per_minute, one.name.casefold()

    return sorted(glances, key=order)


def newest_first(parts: Iterable[Newest], most: int) -> list[NewPost]:
    """The newest posts of partitions."""
    posts = [post for part in parts for post in part.posts]
    return sorted(posts, key=lambda post: post.received_at, reverse=True)[:most]


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def _is_of_now(one: coverage.Entry) -> bool:
    return isinstance(one, SourceStatus) or (isinstance(one, Interval) and one.ended is None)
