"""What was heard of an event and what was not: intervals of connection, and the gaps that follow from them.

An `Interval` is a connection as the tracker writes it down while it lasts, once a second, so that a kill -9 leaves its
end known to a second or two. Gaps are nowhere written: they are the time in which an event was active and no interval
of the source heard it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct, field

from app.domain.events import Event
from app.domain.watchdog import State, Volumes, words

# An event is heard some moments after a person has asked for it: no gap, unless it takes longer than this.
LEAD_MS = 5_000
# The time that a change of connections takes; shorter than anybody's clock is exact.
BLINK_MS = 20
# The longest between two signs of life of a connection that is alive: then it is given up.
PENDING_MS = 30_000
# A tracker tells at least every 10 s.
TOLD_SECONDS = 30.0
Span: TypeAlias = tuple[int, int]  # milliseconds since 1970; the end is not part of it


class InForce(Struct):
    """An event as the source was asked for it, at one version."""

    code: str
    version: int
    since: int
    until: int | None = None  # None: as long as the connection


class Withheld(Struct):
    """Posts that the source kept back, by its own notice."""

    at: int
    posts: int


class Interval(Struct, kw_only=True, omit_defaults=True, tag="interval"):
    """A connection. Times are milliseconds since 1970."""

    source: str
    connection: str  # its id, as in the header of the posts that came by it
    opened: int
    since: int  # it hears everything from here: before `opened` where the source delivered the past
    until: int  # everything that came until here is in Kafka
    ended: str | None = None  # why; None while it lasts, or where its process died before it could say
    origin: Literal["live", "search"] = "live"
    behind: bool = False  # the source delivers its past, and has come only up to `until`
    generation: int = 0  # of the lease that its holder had
    posts: int = 0
    duplicates: int = 0  # dropped, as they had come before
    lines: int = 0  # with those that are no posts
    cursor: int | None = None  # of the last line that is in Kafka
    events: list[InForce] = field(default_factory=list)
    tagged: dict[str, int] = field(default_factory=dict)  # posts by event, where the source says for which it sent them
    withheld: list[Withheld] = field(default_factory=list)  # increases, not the source's totals
    reads: dict[str, int] = field(default_factory=dict)  # posts (duplicates too) by month, as they are paid for

    @property
    def key(self) -> str:
        """Key of its record in `coverage`."""
        return f"{self.source}|{self.opened}|{self.connection}"


class SourceStatus(Struct, kw_only=True, omit_defaults=True, tag="status"):
    """How a live source is, as its tracker sees it. The newest one stands in `coverage` under the source's name."""

    source: str
    state: State
    words: str
    since: int  # since when it is in this state
    at: int
    holder: str = ""  # host and process
    events: dict[str, int] = field(default_factory=dict)  # code -> version that is in force at the source
    refused: dict[str, tuple[str, ...]] = field(default_factory=dict)  # event code -> what is not asked for, and why
    volumes: Volumes = field(default_factory=Volumes)


def as_of(status: SourceStatus, now: int) -> SourceStatus:
    """The status as it is to be shown: one that its tracker has not repeated for a while says nothing of now."""
    silence = (now - status.at) / 1000
    if silence < TOLD_SECONDS:
        return status
    return msgspec.structs.replace(
        status, state="waiting", since=status.at, words=f"no tracker has told of it for {words(silence)}"
    )


Entry: TypeAlias = Interval | SourceStatus


def entry(value: bytes) -> Entry:
    """An entry of `coverage`. Raises msgspec.DecodeError."""
    decoded: Entry = _decode(value)
    return decoded


def intervals_of(entries: Iterable[Entry]) -> list[Interval]:
    """The intervals among entries."""
    return [one for one in entries if isinstance(one, Interval)]


def statuses_of(entries: Iterable[Entry]) -> list[SourceStatus]:
    """The statuses among entries."""
    return [one for one in entries if isinstance(one, SourceStatus)]


class Gap(Struct, frozen=True):
    """A time in which an active event was not heard."""

    since: int
    until: int
    why: str
    goes_on: bool = False

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.until - self.since) / 1000


class Heard(Struct, frozen=True):
    """How an event was heard by a source. `active` and `heard` are milliseconds."""

    source: str
    active: int
    heard: int
    gaps: list[Gap]
    withheld: int  # of all posts of the source: it does not say of which event
    posts: int  # of the event where the source says so, else of the source
    exact: bool  # whether `posts` are the event's
    intervals: list[Interval]

    @property
    def share(self) -> float:
        """Part of its active time in which the event was heard, of 1."""
        return self.heard / self.active if self.active else 1.0


_decode = msgspec.json.Decoder(Interval | SourceStatus).decode


def coverage(event: Event, intervals: Iterable[Interval], now: int, span: Span | None = None) -> list[Heard]:
    """How the event was heard by each source that has any interval in its active time; `span` cuts that time."""
    whole = active_spans(event, now)
    active = whole if span is None else list(_intersection(whole, [span]))
    begins = {start for start, _ in whole}
    by_source: dict[str, list[Interval]] = {}
    for interval in intervals:
        by_source.setdefault(interval.source, []).append(interval)
    return [
        _heard(event, source, found, _known(active, found, now), begins, now)
        for source, found in sorted(by_source.items())
        if any(start < one.until + LEAD_MS and one.since < end for one in found for start, end in active)
    ]


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


def unheard(intervals: Iterable[Interval]) -> list[Span]:
    """The time between the connections of a source that no search has made good either."""
    heard = _union((one.since, one.until) for one in intervals if one.origin == "live" or one.events)
    return [(before, after) for (_, before), (after, _) in pairwise(heard)]


def reads_in(month: str, intervals: Iterable[Interval], source: str) -> int:
    """Posts that a source delivered (and is paid for) in a month, as "2026-11"."""
    return sum(interval.reads.get(month, 0) for interval in intervals if interval.source == source)


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


def _heard(event: Event, source: str, found: list[Interval], active: list[Span], begins: set[int], now: int) -> Heard:
    found.sort(key=lambda interval: (interval.opened, interval.connection))
    spans = _union(span for interval in found for span in _in_force(event.code, interval))
    heard = list(_intersection(active, spans))
    gaps = [
        Gap(since, until, _why(since, found), goes_on=until >= now)
        for start, end in active
        for since, until in _rest((start, end), heard)
        if until - since > (LEAD_MS if since in begins else BLINK_MS)
    ]
    during = [one for one in found if any(start < one.until and one.since < end for start, end in active)]
    exact = any(one.tagged for one in during)
    missing = sum(gap.until - gap.since for gap in gaps)
    length = sum(end - start for start, end in active)
    return Heard(
        source,
        active=length,
        heard=length - missing,
        gaps=gaps,
        withheld=sum(
            one.posts for interval in during for one in interval.withheld if any(a <= one.at < b for a, b in active)
        ),
        posts=sum(one.tagged.get(event.code, 0) if exact else one.posts for one in during),
        exact=exact,
        intervals=during,
    )


def _known(active: list[Span], found: list[Interval], now: int) -> list[Span]:
    """The active time as far as it can be known: a connection that lasts has given its last sign some seconds ago."""
    lasting = [one.until for one in found if one.ended is None and now - one.until < PENDING_MS]
    return list(_intersection(active, [(0, max(lasting))])) if lasting else active


def _in_force(code: str, interval: Interval) -> Iterator[Span]:
    for one in interval.events:
        if one.code == code:
            until = interval.until if one.until is None else min(one.until, interval.until)
            if one.since < until:
                yield one.since, until


def _why(since: int, found: list[Interval]) -> str:
    before = [interval for interval in found if (interval.since if interval.behind else interval.opened) <= since]
    if not before:
        return "not connected yet"
    last = max(before, key=lambda interval: (interval.until, interval.opened))
    if last.until > since:
        return "the source was not asked for it"
    if last.ended is None and last.behind:
        return "the source has not delivered it yet"
    return last.ended or "its tracker has died, or is cut off from Kafka"


def _union(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for since, until in sorted(spans):
        if joined and since <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], until)
        else:
            joined.append((since, until))
    return joined


def _intersection(some: Iterable[Span], others: list[Span]) -> Iterator[Span]:
    for start, end in some:
        for since, until in others:
            if max(start, since) < min(end, until):
                yield max(start, since), min(end, until)


def _rest(whole: Span, parts: list[Span]) -> Iterator[Span]:
    """What the (disjoint, ascending) parts leave of the whole."""
    at, end = whole
    for since, until in parts:
        if until <= at or since >= end:
            continue
        if since > at:
            yield at, since
        at = max(at, until)
    if at < end:
        yield at, end
