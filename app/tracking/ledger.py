"""Writes down what was heard of a source, and how it is: the records of `coverage`, while they happen."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import get_args

import msgspec

from app.domain.coverage import CONTINUED, NOTICED_MS, Entry, InForce, Interval, Outage, Refusal, SourceStatus, Withheld
from app.domain.past import Past
from app.domain.signs import Signs
from app.domain.watchdog import State, Volumes
from app.metrics import SOURCE_STATE
from app.sources.source import Opened, Resume, Selection
from app.topics import COVERAGE
from app.tracking.budget import month_of
from app.tracking.clock import boottime
from app.tracking.outages import Outages
from app.tracking.parcel import Parcel

_WITHHELD_MS = 60_000  # notices of a minute are one entry
_LONGEST_MS = 24 * 3_600_000
_MOST_EVENTS = 500  # changes of events in one entry
# What is not asked for, in one entry: a plan that is too small refuses thousands of keywords, each in a sentence.
_MOST_REFUSED = 200
_LONGEST_REFUSED = 200  # characters
_MOST_UNPROVEN = 100  # entries
HOLDER = f"{socket.gethostname()}:{os.getpid()}"


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


class _Closing(msgspec.Struct):
    """A connection that has ended, but not all that came by it is kept yet."""

    interval: Interval
    until: int  # the last sign of life
    past: Past | None
    under_way: int


FROM_NOW = Resume()


class Ledger:
    """The entries of one source, `silent` seconds of which are a dead socket. `put` sends a record; nothing waits."""

    def __init__(self, source: str, put: Callable[[Parcel], None], volumes: Volumes, silent: float) -> None:
        self._source = source
        self._put = put
        self._silent_ms = int(silent * 1000) + NOTICED_MS
        self._signs = Signs(0, 0.0, 0.0)
        self._told: dict[str, bytes] = {}
        self._past: Past | None = None  # what this connection was to deliver of it
        self._under_way = 0  # lines taken by this connection that are not kept yet
        self._come: tuple[int | None, int | None] = None, None  # cursor and time of the last one, kept or left out
        self._closing: dict[str, _Closing] = {}
        # Those that have ended since the source was last seen to have what it was asked for.
        self._unproven: deque[Interval] = deque(maxlen=_MOST_UNPROVEN)
        self._outages = Outages(source, self._tell_outage)
        self.interval: Interval | None = None
        self.status = SourceStatus(
            source=source, state="connecting", words="", since=now_ms(), at=now_ms(), holder=HOLDER, volumes=volumes
        )

    def open(
        self,
        opened: Opened,
        selection: Selection,
        generation: int,
        resume: Resume = FROM_NOW,
        asked_since: Mapping[str, int] | None = None,
    ) -> Interval:
        """A connection was made, to go on from there.

        Until a line has come its cursor is that of the one before: it claims the time since, and who goes on from it
        must not pass over what the source has not delivered of that.

        `asked_since` has when the source was asked for each event as it is asked for it now: of the past it delivers
        nothing that came before. A source that hands over everything, asked or not, has no such times.
        """
        now, at = now_ms(), boottime()
        since = now if opened.since_ms is None else min(opened.since_ms, now)
        added = opened.added_ms
        begins = {code: max(since, asked, added.get(code, 0)) for code, asked in (asked_since or {}).items()}
        self._signs = Signs(now, at, self._silent_ms / 1000)
        self._outages.over("connected", now, at)
        self._past = Past(since, at, dated=opened.dated) if since < now else None
        self._under_way, self._come = 0, (None, None)
        self.interval = Interval(
            source=self._source,
            connection=uuid.uuid4().hex[:12],
            opened=now,
            since=since,
            until=since,
            behind=self._past is not None,
            cursor=resume.cursor if opened.since_ms is not None and opened.server == resume.server else None,
            server=opened.server,
            generation=generation,
            silent_ms=self._silent_ms,
            events=[InForce(code, version, begins.get(code, since)) for code, version in selection.versions.items()],
            refused=[Refusal(code, begins.get(code, since), what) for code, what in _shortened(selection).items()],
        )
        self.status.events = selection.versions
        self.status.refused = selection.refused
        self._tell(self.interval.key, self.interval)
        return self.interval

    def selected(self, selection: Selection) -> None:
        """The source was asked for other events, or other versions of them."""
        self.status.events = selection.versions
        self.status.refused = selection.refused
        interval = self.interval
        if interval is None:
            return
        now = now_ms()
        standing = {one.code: one for one in interval.events if one.until is None}
        for code, one in standing.items():
            if selection.versions.get(code) != one.version:
                one.until = now
        for code, version in selection.versions.items():
            known = standing.get(code)
            if known is None or known.version != version:
                interval.events.append(InForce(code, version, now))
        refused = _shortened(selection)
        for refusal in [one for one in interval.refused if one.until is None]:
            if refused.get(refusal.code) == refusal.what:
                del refused[refusal.code]
            else:
                refusal.until = now
        interval.refused += [Refusal(code, now, what) for code, what in refused.items()]

    def proved(self) -> None:
        """The source has, or had until then, what it was asked for."""
        self._unproven.clear()

    def disprove(self, lost: Collection[str], refused: dict[str, tuple[str, ...]], since: int) -> None:
        """From then on the source may not have been asked for these events, nor for this of any."""
        open_ones = [] if self.interval is None else [self.interval]
        for interval in [*(one for one in self._unproven if self._reaches(one) > since), *open_ones]:
            for one in interval.events:
                if one.until is None and one.code in lost:
                    one.until = max(one.since, since)
            interval.refused += [Refusal(code, max(interval.since, since), what) for code, what in refused.items()]
        for interval in self._unproven:
            interval.revised += 1
            self._tell(interval.key, interval)
            if interval.connection not in self._closing:
                self._told.pop(interval.key, None)

    def _reaches(self, ended: Interval) -> int:
        """Up to when a connection that has ended will have been heard, once all that came by it is kept."""
        closing = self._closing.get(ended.connection)
        return closing.until if closing is not None and closing.interval is ended else ended.until

    def sign(self, now: int) -> None:
        """A sign of life came, and no line."""
        at = boottime()
        if self._signs.came(now, at) and self._past is not None and self._under_way == 0:
            self._past.sign(at, now)

    def held_up(self) -> None:
        """The connection was not read for a while: what comes now may have come long ago."""
        self._signs.held_up(boottime())

    def heard(self, posts: int, duplicates: int, now: int) -> None:
        """Lines came, with so many posts."""
        self._signs.came(now, boottime())
        interval = self.interval
        if interval is None:
            return
        interval.duplicates += duplicates
        month = month_of(now / 1000)
        interval.reads[month] = interval.reads.get(month, 0) + posts

    def passed(self, lines: int, cursor: int | None, seen_ms: int | None) -> None:
        """The source has come so far: with so many lines that are to be kept, and others that are not."""
        self._under_way += lines
        self._come = cursor, seen_ms
        if self._past is not None:
            self._past.line(boottime())

    def kept(self, parcel: Parcel) -> None:
        """Posts are in Kafka, or on disk."""
        if parcel.source != self._source:
            return
        interval, past = self.interval, self._past
        if interval is not None and interval.connection == parcel.connection:
            self._under_way -= parcel.lines
        elif (closing := self._closing.get(parcel.connection)) is not None:
            interval, past = closing.interval, closing.past
            closing.under_way -= parcel.lines
        else:
            return
        interval.posts += parcel.posts
        interval.lines += parcel.lines
        for code, count in parcel.tagged.items():
            interval.tagged[code] = interval.tagged.get(code, 0) + count
        _reach(interval, past, parcel.cursor, parcel.seen_ms)

    def withheld(self, posts: int) -> None:
        """The source has kept back so many more."""
        interval = self.interval
        if interval is None:
            return
        now = now_ms()
        if interval.withheld and now - interval.withheld[-1].at < _WITHHELD_MS:
            interval.withheld[-1].posts += posts
        else:
            interval.withheld.append(Withheld(now, posts))

    def leave(self, *, alive: bool) -> None:
        """The connection is about to be closed. One that is `alive` was heard until now, and not while it is closed."""
        if alive:
            self._signs.came(now_ms(), boottime())
        self._signs.leave()

    def close(self, why: str, oldest_ms: int | None) -> None:
        """The connection has ended: it was heard to its last sign of life, or until it was left."""
        interval = self.interval
        if interval is None:
            return
        self._follow(interval)
        interval.ended = why
        self._unproven.append(interval)
        self._closing[interval.connection] = _Closing(interval, self._signs.last, self._past, self._under_way)
        self.interval = None
        self.beat(oldest_ms)

    def no_connection(self, why: str, generation: int) -> None:
        """There is none now, for this reason."""
        self._outages.say(why, generation, now_ms(), boottime())

    def still(self) -> None:
        """To be called every few seconds: where there is no connection, there is none still."""
        self._outages.go_on(now_ms(), boottime())

    def no_outage(self, ended: str) -> None:
        """No connection is needed, or it is not for this tracker to make one."""
        self._outages.over(ended, now_ms(), boottime())

    def say(self, state: State, words: str) -> None:
        """How the source is."""
        if state != self.status.state:
            self.status.since = now_ms()
        self.show(state)
        self.status.state = state
        self.status.words = words

    @property
    def refused_ms(self) -> int:
        """For how long the source has refused this tracker; 0 where it does not."""
        return now_ms() - self.status.since if self.status.state == "refused" else 0

    def show(self, state: State) -> None:
        """The state that this process shows on /metrics: one is 1, all others are 0."""
        for one in get_args(State):
            SOURCE_STATE.labels(self._source, one).set(one == state)

    def beat(self, oldest_ms: int | None) -> None:
        """Write down what has changed. `oldest_ms`: when the oldest post came that is not kept yet."""
        for connection, one in list(self._closing.items()):
            known = one.until if oldest_ms is None else min(one.until, oldest_ms)
            _hear(one.interval, one.past, known)
            self._tell(one.interval.key, one.interval)
            if one.under_way == 0 and known >= one.until:
                del self._closing[connection]
                self._told.pop(one.interval.key, None)
        interval = self.interval
        if interval is not None:
            at, until = boottime(), self._signs.last
            if self._signs.look(at) and self._past is not None:
                self._past.tick(at)
            self._follow(interval)
            _hear(interval, self._past, until if oldest_ms is None else min(until, oldest_ms))
            # While it is behind, the time in which others were in force is still to be heard.
            if not interval.behind and (
                len(interval.events) > _MOST_EVENTS + len(self.status.events)
                or len(interval.refused) > _MOST_REFUSED + len(self.status.refused)
                or interval.until - interval.opened > _LONGEST_MS
            ):
                self._begin_entry(interval)
            self._tell(interval.key, interval)

    def _follow(self, interval: Interval) -> None:
        """Where nothing is under way, it goes on behind what was left out, too."""
        if self._under_way == 0:
            _reach(interval, self._past, *self._come)

    def _begin_entry(self, interval: Interval) -> None:
        """Go on in another entry: one that is written every second must not grow for weeks."""
        self.interval = Interval(
            source=interval.source,
            connection=interval.connection,
            opened=interval.until,
            since=interval.until,
            until=interval.until,
            generation=interval.generation,
            silent_ms=interval.silent_ms,
            cursor=interval.cursor,
            server=interval.server,
            events=[InForce(one.code, one.version, interval.until) for one in interval.events if one.until is None],
            refused=[Refusal(one.code, interval.until, one.what) for one in interval.refused if one.until is None],
        )
        interval.ended = CONTINUED
        self._unproven.append(interval)
        self._tell(self.interval.key, self.interval)

    def tell_status(self) -> None:
        """Write down how the source is."""
        self.status.at = now_ms()
        self._tell(self._source, self.status, passing=True)

    def _tell_outage(self, outage: Outage) -> None:
        self._tell(outage.key, outage)
        if outage.ended is not None:
            self._told.pop(outage.key, None)

    def _tell(self, key: str, entry: Entry, *, passing: bool = False) -> None:
        value = msgspec.json.encode(entry)
        if self._told.get(key) != value:
            self._told[key] = value
            self._put(Parcel(COVERAGE.name, value, [], key.encode(), passing=passing))


def _shortened(selection: Selection) -> dict[str, tuple[str, ...]]:
    """What was refused of each event, as far as an entry that is written every second can hold it."""
    most = max(1, _MOST_REFUSED // max(1, len(selection.refused)))
    return {
        code: tuple(one[:_LONGEST_REFUSED] for one in what[:most])
        + ((f"and {len(what) - most:,} more",) if len(what) > most else ())
        for code, what in selection.refused.items()
    }


def _reach(interval: Interval, past: Past | None, cursor: int | None, seen_ms: int | None) -> None:
    """All up to a line is kept or left out."""
    if cursor is not None:
        interval.cursor = cursor
    if past is not None and seen_ms is not None:
        past.kept(seen_ms, now_ms())


def _hear(interval: Interval, past: Past | None, until: int) -> None:
    """What came until then is kept."""
    if past is not None:
        interval.behind = not past.through
        until = past.heard(until)
    # Of a clock that was ahead, and was set, no claim to what is still to come is left.
    interval.until = max(interval.since, until, min(interval.until, now_ms()))
