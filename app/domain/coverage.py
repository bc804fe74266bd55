"""What stands in the ledger of what was heard, topic `coverage`. `heard` tells what follows from it for an event.

An `Interval` is a connection as the tracker writes it down while it lasts, once a second, so that a kill -9 leaves its
end known to a second or two. An `Outage` is a time without one, with the reason. `Left` is the time in which a source
is not among those that are to be heard. `SourceStatus` is how a source is now.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Struct, field

from app.domain.watchdog import State, Volumes, words

# A tracker tells how its sources are, and of each outage that lasts, at least every 10 s.
TOLD_MS = 30_000
# So late a connection without a sign of life is given up at most, and its end in the ledger.
NOTICED_MS = 5_000
# What entries say of what comes after them, where others look for it.
IDLE = "no event is active"
CONTINUED = "goes on in the next entry"
LOST = "what was kept of it on disk is damaged"
HAD_LOST_IT = "it had lost what it was asked for"
OVER_BUDGET = "budget: "  # begins what is said of a time in which no more was to be paid for


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


class Refusal(Struct):
    """What of an event the source was not asked for, each with the reason."""

    code: str
    since: int
    what: tuple[str, ...]
    until: int | None = None  # None: as long as the connection


class Wish(Struct, kw_only=True, omit_defaults=True):
    """How far a source is that was asked for the past as an event wished (`events.Rematch`), and where it goes on."""

    code: str
    version: int  # at which it was wished
    # `why` tells of two: waiting (it cannot go on now, and is tried again), refused (by a tracker as it is set up).
    state: Literal["running", "waiting", "refused", "done"] = "running"
    why: str = ""
    reached: int | None = None  # milliseconds since 1970; None where the source does not go forward in time
    query: int = 0
    page: str = ""
    asked: int = 0  # checksum of the queries up to this one: what was asked otherwise is no place to go on from


class Interval(Struct, kw_only=True, omit_defaults=True, tag="interval"):
    """A connection, or a search for the posts of a time. Times are milliseconds since 1970."""

    source: str
    connection: str  # its id, as in the header of the posts that came by it
    opened: int
    since: int  # it hears everything from here: before `opened` where the source delivered the past
    until: int  # everything that came until here is in Kafka
    ended: str | None = None  # why; None while it lasts, or where its process died before it could say
    origin: Literal["live", "search"] = "live"
    behind: bool = False  # the source delivers its past, and has come only up to `until`
    generation: int = 0  # of the lease that its holder had
    silent_ms: int = 30_000  # so long may be between two signs of life, until its end is told too
    posts: int = 0
    duplicates: int = 0  # dropped, as they had come before
    lines: int = 0  # with those that are no posts
    cursor: int | None = None  # of the last line that is in Kafka
    server: str = ""  # whose cursor it is, where each server has its own
    events: list[InForce] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    tagged: dict[str, int] = field(default_factory=dict)  # posts by event, where the source says for which it sent them
    withheld: list[Withheld] = field(default_factory=list)  # increases, not the source's totals
    reads: dict[str, int] = field(default_factory=dict)  # posts (duplicates too) by month, as they are paid for
    revised: int = 0  # how often what it says was corrected after its end
    wish: Wish | None = None  # of an event, that it answers: it makes nothing good for others

    @property
    def key(self) -> str:
        """Key of its record in `coverage`."""
        return f"{self.source}|{self.opened}|{self.connection}"


class Outage(Struct, kw_only=True, omit_defaults=True, tag="outage"):
    """A time without a connection, for one reason. Times are milliseconds since 1970."""

    source: str
    since: int
    until: int  # it was so until here; brought forward while it lasts
    why: str
    ended: str | None = None  # what came then; None while it lasts, or where its process died before it could say
    generation: int = 0  # of the lease that its holder had

    @property
    def key(self) -> str:
        """Key of its record in `coverage`."""
        return f"{self.source}|{self.since}|outage"


class Left(Struct, kw_only=True, omit_defaults=True, tag="left"):
    """A time in which a source was not among those that the settings name. Times are milliseconds since 1970."""

    source: str
    since: int
    holder: str  # the first process that listened without it
    until: int | None = None  # None: to this day

    @property
    def key(self) -> str:
        """Key of its record in `coverage`."""
        return f"{self.source}|{self.since}|left"


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
    silence = now - status.at
    if silence < TOLD_MS or status.state == "left":
        return status
    return msgspec.structs.replace(
        status, state="waiting", since=status.at, words=f"no tracker has told of it for {words(silence / 1000)}"
    )


Entry: TypeAlias = Interval | Outage | Left | SourceStatus
T = TypeVar("T", Interval, Outage, Left)


def entry(value: bytes) -> Entry:
    """An entry of `coverage`. Raises msgspec.DecodeError."""
    decoded: Entry = _decode(value)
    return decoded


def of_kind(kind: type[T], entries: Iterable[Entry], source: str | None = None) -> list[T]:
    """The entries of one kind; of one source, where it is given."""
    return [one for one in entries if isinstance(one, kind) and source in (None, one.source)]


def intervals_of(entries: Iterable[Entry]) -> list[Interval]:
    """The intervals among entries."""
    return of_kind(Interval, entries)


def statuses_of(entries: Iterable[Entry]) -> list[SourceStatus]:
    """The statuses among entries."""
    return [one for one in entries if isinstance(one, SourceStatus)]


def without(interval: Interval, since: int, until: int) -> Interval:
    """The interval without a time of which what came is lost: a gap of each event, that says why.

    What a search has found came some time after it was begun, whatever time it is of: it claims nothing then.
    """
    if interval.origin == "search" and interval.events and interval.opened < until:
        wish = interval.wish and msgspec.structs.replace(interval.wish, why=LOST)
        return msgspec.structs.replace(interval, events=[], refused=[], ended=LOST, wish=wish)
    if interval.since < interval.opened:
        since = min(since, interval.since)  # what came then was of the past, nobody knows of when
    if interval.origin != "live" or interval.opened >= until or interval.until <= since:
        return interval
    events, refused = [], list(interval.refused)
    for one in interval.events:
        end = one.until
        if one.since >= until or (end is not None and end <= since):
            events.append(one)
            continue
        if one.since < since:
            events.append(InForce(one.code, one.version, one.since, since))
        if end is None or end > until:
            events.append(InForce(one.code, one.version, until, end))
        refused.append(Refusal(one.code, max(since, one.since), (LOST,), until if end is None else min(until, end)))
    return msgspec.structs.replace(interval, events=events, refused=refused)


def how_far(interval: Interval) -> tuple[bool, int, int, int]:
    """Of a search as an event wished it: greater is further. Posts it reads twice count twice, so they only grow."""
    wish = interval.wish or Wish(code="", version=0)
    return wish.state == "done", interval.posts, wish.query, wish.reached or 0


def by_several(told: Entry) -> bool:
    """Whether trackers go on with what one before them has told."""
    return isinstance(told, Left | SourceStatus) or (isinstance(told, Interval) and told.wish is not None)


def outdates(standing: Entry, told: Entry) -> bool:
    """Whether what stands, under the same key or of the source, is news to what was told, perhaps long ago."""
    match standing, told:
        case Left(), Left():
            return standing.until is not None and told.until is None
        case SourceStatus(), Left():
            return standing.state != "left" and standing.at > told.since and told.until is None
        case SourceStatus(), SourceStatus():
            return standing.at > told.at
        case Interval(wish=Wish()), Interval(wish=Wish()):
            return how_far(standing) > how_far(told)
    return False


def reads_in(month: str, intervals: Iterable[Interval], source: str) -> int:
    """Posts that a source delivered (and is paid for) in a month, as "2026-11"."""
    return sum(interval.reads.get(month, 0) for interval in intervals if interval.source == source)


_decode = msgspec.json.Decoder(Entry).decode
