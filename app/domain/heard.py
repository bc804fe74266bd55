"""What was heard of an event and what was not: its active time, and what the ledger says of that.

Gaps are nowhere written: they are the time in which an event was active and no interval of the source heard it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from msgspec import Struct

from app.domain.coverage import (
    HAD_LOST_IT,
    LOST,
    OVER_BUDGET,
    Entry,
    InForce,
    Interval,
    Left,
    Outage,
    Refusal,
    intervals_of,
    of_kind,
)
from app.domain.events import Event
from app.domain.reasons import LEAD_MS, Reason, end_of, reasons
from app.domain.spans import Span, intersection, length, meet, rest, union

# The time that a change of connections takes; shorter than anybody's clock is exact.
BLINK_MS = 20


class Gap(Struct, frozen=True):
    """A time in which an active event was not heard, and the reasons, one after the other."""

    since: int
    until: int
    reasons: tuple[Reason, ...]
    goes_on: bool = False

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.until - self.since) / 1000

    @property
    def why(self) -> str:
        """What began it."""
        return self.reasons[0].why


class Without(Struct, frozen=True):
    """A time in which a source was heard, but not asked for something that the event selects."""

    since: int
    until: int
    what: str  # and why
    goes_on: bool = False


class Heard(Struct, frozen=True):
    """How an event was heard by a source. `active`, `heard` and `partly` are milliseconds."""

    source: str
    active: int
    heard: int
    gaps: list[Gap]
    withheld: int  # of all posts of the source: it does not say of which event
    posts: int  # of the event where the source says so, else of the source
    exact: bool  # whether `posts` are the event's
    intervals: list[Interval]
    partly: int = 0  # of the heard time, what was heard without something that the event selects
    without: list[Without] = []
    outages: list[Outage] = []
    left: list[Left] = []  # when the source was not among those that the settings name: no part of `active`

    @property
    def share(self) -> float:
        """Part of its active time in which the event was heard, of 1."""
        return share(self.heard, self.active)


class Jointly(Struct, frozen=True):
    """How an event was heard by at least one of all sources, in milliseconds."""

    active: int
    heard: int
    gaps: list[Span]

    @property
    def share(self) -> float:
        """Part of its active time in which the event was heard, of 1."""
        return share(self.heard, self.active)


def coverage(event: Event, entries: Iterable[Entry], now: int, span: Span | None = None) -> list[Heard]:
    """How the event was heard by each source that the ledger knows in its active time; `span` cuts that time."""
    entries = list(entries)
    active = active_in(event, now, span)
    begins = {start for start, _ in active_spans(event, now)}
    told = [_heard(event, source, entries, active, begins, now) for source in sorted({one.source for one in entries})]
    return [heard for heard in told if heard is not None]


def jointly(event: Event, entries: Iterable[Entry], now: int, span: Span | None = None) -> Jointly:
    """How the event was heard by all sources together."""
    intervals = intervals_of(entries)
    active = _known(active_in(event, now, span), intervals, now)
    gaps = _gaps(active, _heard_by(event.code, intervals), {start for start, _ in active_spans(event, now)})
    return Jointly(length(active), length(active) - length(gaps), gaps)


def active_in(event: Event, now: int, span: Span | None = None) -> list[Span]:
    """When the event collected, within a span."""
    whole = active_spans(event, now)
    return whole if span is None else intersection(whole, [span])


def active_spans(event: Event, now: int) -> list[Span]:
    """When the event collected, by its history."""
    spans: list[Span] = []
    since: int | None = None
    for at, status in _statuses(event):
        if status == "active" and since is None:
            since = at
        elif status != "active" and since is not None:
            spans.append((since, at))
            since = None
    if since is not None:
        spans.append((since, max(now, since)))
    return [span for span in spans if span[0] < span[1]]


def last_heard(intervals: Iterable[Interval]) -> Interval | None:
    """The connection to go on from: one that has got no line yet reaches as far as the one before, without a cursor."""
    live = (one for one in intervals if one.origin == "live")
    return max(live, key=lambda one: (one.until, one.cursor is not None, one.opened), default=None)


def unheard(intervals: Iterable[Interval]) -> list[Span]:
    """The time between the connections of a source that no search has made good either.

    What one event wished to hear of the past made nothing good for the others.
    """
    heard = union(
        (one.since, one.until) for one in intervals if one.origin == "live" or (one.events and one.wish is None)
    )
    return [(before, after) for (_, before), (after, _) in pairwise(heard)]


def lost(intervals: Iterable[Interval]) -> dict[str, list[Span]]:
    """By event, the time within connections that was lost as a whole, at the source or here, and is not made good.

    What a source had lost is so until it was asked for it again.
    """
    intervals = list(intervals)
    missing: dict[str, list[Span]] = {}
    during: dict[str, list[Span]] = {}
    for interval in intervals:
        if interval.origin == "live":
            for one in interval.refused:
                if not {LOST, HAD_LOST_IT}.isdisjoint(one.what) and (spans := list(_within(interval, one))):
                    missing.setdefault(one.code, []).extend(spans)
                    during.setdefault(one.code, []).append((interval.since, interval.until))
    asked: dict[str, list[Span]] = {code: [] for code in missing}
    for interval in intervals:
        for event in interval.events:
            if event.code in asked:
                asked[event.code].extend(_within(interval, event))
    found = {code: rest(union(during[code]), union(spans)) for code, spans in asked.items()}
    return {
        code: there
        for code, spans in found.items()
        if (there := [span for span in spans if meet(missing[code], *span)])
    }


def unwanted(entries: Iterable[Entry], source: str, now: int) -> list[Span]:
    """When nobody wanted to hear a source: it was not among those that the settings name, or was not to be paid for."""
    entries = list(entries)
    left = [(one.since, _until(one, now)) for one in of_kind(Left, entries, source)]
    spent = [one for one in of_kind(Outage, entries, source) if one.why.startswith(OVER_BUDGET)]
    return union([*left, *((one.since, end_of(one, now)) for one in spent)])


def _statuses(event: Event) -> Iterator[tuple[int, str]]:
    """Each status and when it began. What a create made of it, the next change tells, or the event as it stands."""
    changes = [(to_ms(change.at), change.changed.get("status"), change.action) for change in event.history]
    told = [status for _, status, _ in changes if status is not None]
    first = str(told[0][0]) if told else event.status
    for at, status, action in changes:
        if action == "create":
            yield at, first
        elif status is not None:
            yield at, str(status[1])


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970."""
    return int(at.timestamp() * 1000)


def share(heard: int, active: int) -> float:
    """What part was heard, of 1."""
    return heard / active if active else 1.0


def _heard(
    event: Event, source: str, entries: list[Entry], active: list[Span], begins: set[int], now: int
) -> Heard | None:
    found = of_kind(Interval, entries, source)
    found.sort(key=lambda interval: (interval.opened, interval.connection))
    outages = of_kind(Outage, entries, source)
    away = [one for one in of_kind(Left, entries, source) if meet(active, one.since, _until(one, now))]
    active = rest(active, union((one.since, _until(one, now)) for one in away))
    near = [one for one in found if meet(active, one.since, one.until + LEAD_MS)]
    silent = [one for one in outages if meet(active, one.since, end_of(one, now))]
    if not near and not silent:
        return None
    active = _known(active, found, now)
    begins = begins | {one.until for one in away if one.until is not None}
    asked = intersection(active, _heard_by(event.code, found))
    gaps = _gaps(active, asked, begins)
    during = [one for one in found if meet(active, one.since, one.until)]
    exact = any(one.tagged for one in during)
    whole = length(active)
    return Heard(
        source,
        active=whole,
        heard=whole - length(gaps),
        gaps=[
            Gap(since, until, reasons(event.code, since, until, found, outages, now), goes_on=until >= now)
            for since, until in gaps
        ],
        withheld=sum(
            one.posts for interval in during for one in interval.withheld if any(a <= one.at < b for a, b in active)
        ),
        posts=sum(one.tagged.get(event.code, 0) if exact else one.posts for one in during if one.wish is None),
        exact=exact,
        intervals=during,
        partly=length(intersection(asked, union(span for one in during for _, span in _refused(event.code, one)))),
        without=_without(event.code, during, asked, max((end for _, end in active), default=0), now),
        outages=silent,
        left=away,
    )


def _until(left: Left, now: int) -> int:
    return max(now, left.since) if left.until is None else left.until


def _gaps(active: list[Span], heard: list[Span], begins: set[int]) -> list[Span]:
    return [
        (since, until)
        for since, until in rest(active, heard)
        if until - since > (LEAD_MS if since in begins else BLINK_MS)
    ]


def _known(active: list[Span], found: list[Interval], now: int) -> list[Span]:
    """The active time as far as it can be known: a connection that lasts has given its last sign some seconds ago."""
    lasting = [one.until for one in found if one.ended is None and now - one.until < one.silent_ms]
    return intersection(active, [(0, max(lasting))]) if lasting else active


def _heard_by(code: str, intervals: Iterable[Interval]) -> list[Span]:
    return union(span for interval in intervals for span in _in_force(code, interval))


def _in_force(code: str, interval: Interval) -> Iterator[Span]:
    for one in interval.events:
        if one.code == code:
            yield from _within(interval, one)


def _refused(code: str, interval: Interval) -> Iterator[tuple[tuple[str, ...], Span]]:
    """What this connection heard it without; where it did not hear it, another one may have, with all of it."""
    heard = union(_in_force(code, interval))
    for one in interval.refused:
        if one.code == code:
            for span in intersection(_within(interval, one), heard):
                yield one.what, span


def _within(interval: Interval, one: InForce | Refusal) -> Iterator[Span]:
    """The time of what holds as long as the connection, where nothing else is said; none where that is empty."""
    until = interval.until if one.until is None else min(one.until, interval.until)
    if one.since < until:
        yield one.since, until


def _without(code: str, intervals: Sequence[Interval], asked: list[Span], end: int, now: int) -> list[Without]:
    """What was not asked for, each from when to when, whatever connections and gaps lie between."""
    spans: dict[str, list[Span]] = {}
    silent_ms = max((interval.silent_ms for interval in intervals), default=0)
    for interval in intervals:
        for refused, span in _refused(code, interval):
            for one in refused:
                spans.setdefault(one, []).append(span)
    found = []
    for what, some in spans.items():
        # Where nothing was heard in between, nothing was heard with it either.
        with_it = rest(asked, union(some))
        parts: list[Span] = []
        for since, until in intersection(asked, union(some)):
            if parts and not meet(with_it, parts[-1][1], since):
                parts[-1] = parts[-1][0], until
            else:
                parts.append((since, until))
        found += [
            Without(since, until, what, goes_on=until == end and now - until < silent_ms) for since, until in parts
        ]
    return sorted(found, key=lambda one: (one.since, one.what))
