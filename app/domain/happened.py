"""What happened once and is worth a notice: events that started or stopped, and a month's budget that is used up.

What is told follows from what stands in the topics, with ids of its own, so that whoever looks later finds the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

from app.domain.coverage import Interval, SourceStatus, reads_in
from app.domain.events import Change, Event, Status
from app.domain.heard import to_ms
from app.domain.notices import DAY_MS, Notice

# A manager that was away tells what happened meanwhile; of what is older nobody wants to be told as news.
NEWS_MS = DAY_MS

_BY_ITSELF = "starling"  # who a command of the manager's own is from
_ENDS: dict[str, str] = {"paused": "was paused", "stopped": "has stopped", "archived": "was archived"}


class Limits(Struct, frozen=True):
    """Posts a month that may be read from a source: beyond the first it is told, at the second the source is left."""

    soft: int | None
    hard: int | None


def changes_of_state(events: Iterable[Event], began: int, now: int) -> Iterator[Notice]:
    """A notice for each start and each end of an event's collecting, since `began` and in the last day."""
    horizon = max(began, now - NEWS_MS)
    for event in events:
        # Most of a thousand events have not changed for a day. Times are the senders': the last may not be the newest.
        if any(to_ms(change.at) >= horizon for change in event.history[-20:]):
            yield from _changes(event, horizon, now)


def _changes(event: Event, horizon: int, now: int) -> Iterator[Notice]:
    before: Status | str = ""
    for change, status in _statuses(event):
        at = to_ms(change.at)
        if at >= horizon:
            if status == "active" and before != "active":
                yield _notice(event, change, "started", "collects", now)
            elif before in ("active", "paused") and status in _ENDS:
                yield _notice(event, change, "stopped", _ENDS[status], now)
        before = status


def _statuses(event: Event) -> Iterator[tuple[Change, str]]:
    """Each change of status, and what it led to. What a create made of it, the next one tells, or the event itself."""
    told = [(change, pair) for change in event.history if (pair := change.changed.get("status")) is not None]
    for change in event.history:
        if change.action == "create":
            yield change, str(told[0][1][0]) if told else event.status
    for change, (_, status) in told:
        yield change, str(status)


def _notice(event: Event, change: Change, kind: Literal["started", "stopped"], does: str, now: int) -> Notice:
    by = "by itself" if change.who == _BY_ITSELF else f"by {change.who}"
    why = f"{by}, at version {change.version}" + (f": {change.why}" if change.why else "")
    return Notice(
        id=f"{kind}:{event.code}:{change.version}",
        kind=kind,
        at=now,
        since=to_ms(change.at),
        title=f"{event.name} ({event.code}) {does}",
        text=why,
        events=(event.code,),
    )


def budgets(
    intervals: Iterable[Interval],
    statuses: Iterable[SourceStatus],
    limits: Mapping[str, Limits],
    month: str,
    now: int,
) -> Iterator[Notice]:
    """A notice, once a month (as "2026-11") each, of a source whose reads have passed a limit."""
    intervals = list(intervals)
    # A source that was left last month is said to be for some moments of this one too.
    began = to_ms(datetime.fromisoformat(f"{month}-01T00:00:00+00:00"))
    left = {status.source for status in statuses if status.state == "over budget" and status.since >= began}
    for source, limit in limits.items():
        reads = reads_in(month, intervals, source)
        if limit.soft is not None and reads > limit.soft:
            title = f"{source}: more posts were read this month than STARLING_X_READS_SOFT"
            yield _budget(source, "soft", month, title, f"{reads:,} posts read in {month}; {limit.soft:,} are set", now)
        # A tracker may have other limits than the process that looks: what it says of itself counts too.
        if source in left or (limit.hard is not None and reads >= limit.hard):
            allowed = "" if limit.hard is None else f"; {limit.hard:,} are allowed"
            title = f"{source}: nothing more is read this month, STARLING_X_READS_HARD is reached"
            yield _budget(source, "hard", month, title, f"{reads:,} posts read in {month}{allowed}", now)


def _budget(source: str, which: str, month: str, title: str, text: str, now: int) -> Notice:
    name = f"budget:{source}:{month}:{which}"
    return Notice(id=name, kind="budget", at=now, since=now, title=title, text=text, source=source)
