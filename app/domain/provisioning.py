"""What shall run in the cluster: how many trackers, and between which bounds the workers, as events and lag demand it.

Nothing here knows Kubernetes; `cluster_objects` says how it is written down there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from app.domain import rematch, wishes
from app.domain.coverage import Entry
from app.domain.events import Event
from app.domain.rematch import Progress

# A pod is up within seconds, and a group that it joins is at work some 10 s later: an event that begins finds it there.
AHEAD = timedelta(seconds=60)
TRACKERS = 2  # one listens, one stands by
TRACKER, INDEXER = "tracker", "indexer"


class Demand(Struct, frozen=True, kw_only=True):
    """What is asked of the cluster now."""

    collecting: int = 0  # events that collect, or will within AHEAD
    asking: int = 0  # events that wait for what a source has of the past
    hearing: int = 0  # events that hear anew what is kept
    hot: tuple[str, ...] = ()  # of those that collect, the codes of those that are marked so
    unread: Mapping[str, int] | None = None  # records before each role; None while Kafka does not say
    behind: Mapping[str, float] = {}  # seconds that each role is behind
    unindexed: int = 0  # records before the indexer, who may come later than all others

    @property
    def idle(self) -> bool:
        """Whether nothing is to be done, for sure."""
        return not (self.collecting or self.asking or self.hearing) and self.unread is not None and not self.waiting

    @property
    def waiting(self) -> int:
        """Records that nobody has dealt with."""
        return sum((self.unread or {}).values())


class Bounds(Struct, frozen=True, kw_only=True):
    """Limits that the settings give."""

    least: int
    most: int
    most_hot: int
    behind_seconds: float  # beyond which a role counts as lagging


class Wanted(Struct, frozen=True, kw_only=True):
    """What a role shall have. `running` None: leave it as it is."""

    running: bool | None
    replicas: int  # to start with
    least: int = 0
    most: int = 0
    why: str


class Outcome(Struct, frozen=True, kw_only=True):
    """What was done, or would be, of a template."""

    name: str
    role: str
    wanted: Wanted
    replicas: int | None = None  # that its Deployment shall have; None where there is none yet
    ready: int = 0
    changed: tuple[str, ...] = ()  # in words
    paused: bool = False
    trouble: str = ""


class Provisioned(Struct, frozen=True, kw_only=True):
    """What was asked of the cluster and done last."""

    at: int  # milliseconds since 1970
    dry_run: bool
    demand: Demand
    roles: tuple[Outcome, ...]


def demand(
    events: Iterable[Event],
    progress: Mapping[str, Progress],
    ledger: Iterable[Entry],
    unread: Mapping[str, int] | None,
    behind: Mapping[str, float],
    now: datetime,
    unindexed: int = 0,
) -> Demand:
    """What the events and the lag ask for. `progress`: of rematches, by event."""
    events, ledger = list(events), list(ledger)
    collecting = [event for event in events if event.collecting or _begins(event, now)]
    return Demand(
        collecting=len(collecting),
        asking=sum(_asks(event, ledger) for event in events),
        hearing=sum(rematch.due(event, progress.get(event.code)) is not None for event in events),
        hot=tuple(event.code for event in collecting if event.hot),
        unread=unread,
        behind=behind,
        unindexed=unindexed,
    )


def _begins(event: Event, now: datetime) -> bool:
    return event.status == "scheduled" and event.start is not None and event.start - now <= AHEAD


def _asks(event: Event, ledger: list[Entry]) -> bool:
    if not event.rematches or rematch.cannot_hear(event) is not None:
        return False
    return any(not one.over for one in wishes.heard(event, ledger))


def wanted(role: str, demand: Demand, bounds: Bounds) -> Wanted:
    """What a role shall have, and why in words."""
    if role == TRACKER:
        return _trackers(demand)
    why = _busy(demand)
    if why is None and role == INDEXER and demand.unindexed:
        why = f"{demand.unindexed:,} records are not indexed"
    if why is None:
        return Wanted(
            running=False if demand.idle else None,
            replicas=0,
            least=bounds.least,
            most=bounds.most,
            why="nothing to do" if demand.idle else "Kafka does not say how far the workers are",
        )
    most = bounds.most
    if demand.hot:
        most, why = bounds.most_hot, f"{_some(demand.hot)} marked hot"
    elif demand.behind.get(role, 0.0) > bounds.behind_seconds:
        most, why = bounds.most_hot, f"{demand.behind[role]:.0f} s behind"
    return Wanted(running=True, replicas=bounds.least, least=bounds.least, most=most, why=why)


def _trackers(demand: Demand) -> Wanted:
    if demand.collecting or demand.asking:
        why = (
            _counted(demand.collecting, "collects", "collect")
            if demand.collecting
            else _counted(demand.asking, "asks a source for the past", "ask a source for the past")
        )
        return Wanted(running=True, replicas=TRACKERS, why=why)
    return Wanted(running=False, replicas=0, why="no event collects")


def _busy(demand: Demand) -> str | None:
    if demand.collecting:
        return _counted(demand.collecting, "collects", "collect")
    if demand.asking:
        return _counted(demand.asking, "asks a source for the past", "ask a source for the past")
    if demand.hearing:
        return _counted(demand.hearing, "hears the past", "hear the past")
    if demand.waiting:
        return f"{demand.waiting:,} records wait"
    return None


def _counted(count: int, one: str, several: str) -> str:
    return f"1 event {one}" if count == 1 else f"{count:,} events {several}"


def _some(codes: tuple[str, ...]) -> str:
    return f"{codes[0]} is" if len(codes) == 1 else f"{codes[0]} and {len(codes) - 1:,} more are"
