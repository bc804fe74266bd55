"""What lasts and should not, as the views show it now: a source that is not heard, an event that a source was not asked
for or has refused, too many dead letters. `noting` says when one becomes a notice.

A gap concerns the source, and is one condition however many events it leaves unheard. Only what has no sign of life is
one: a quiet stream has them. `heard` computes the gaps of an event in full; here it must cost little, every other
second, with a thousand events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

from msgspec import Struct

from app.domain.coverage import Entry, Interval, Outage, SourceStatus, of_kind, statuses_of
from app.domain.events import Event
from app.domain.heard import to_ms
from app.domain.notices import MOST_EVENTS, Kind, Notice
from app.domain.reasons import NOT_ASKED, reasons
from app.domain.spans import length, rest, union
from app.domain.watchdog import words

# What was heard longer ago says nothing of the present gap but when it began.
_BACK_MS = 6 * 3_600_000


class Condition(Struct, frozen=True, kw_only=True):
    """Something that lasts. Times are milliseconds since 1970."""

    key: str
    kind: Kind
    since: int
    title: str
    text: str = ""
    source: str = ""
    events: tuple[str, ...] = ()
    patience: int = 0  # ms that it lasts before it is worth a word


def gaps(events: Iterable[Event], entries: Iterable[Entry], now: int, patience: int) -> Iterator[Condition]:
    """The sources that are not heard now though events are active, and the events that a source was not asked for."""
    active = {event.code: since for event in events if (since := active_since(event)) is not None}
    entries = list(entries)
    for status in statuses_of(entries):
        if status.state != "left" and active:
            found = of_kind(Interval, entries, status.source)
            yield from _of_source(status, found, of_kind(Outage, entries, status.source), active, now, patience)


def _of_source(
    status: SourceStatus,
    intervals: list[Interval],
    outages: list[Outage],
    active: dict[str, int],
    now: int,
    patience: int,
) -> Iterator[Condition]:
    source = status.source
    live = [one for one in intervals if one.origin == "live"]
    newest = max(live, key=lambda one: (one.opened, one.until), default=None)
    heard_until = max((one.until for one in live), default=0)
    if newest is None or newest.ended is not None or now - newest.until >= newest.silent_ms:
        since = max(heard_until, min(active.values()))
        if since < now:
            near = [one for one in intervals if one.until >= heard_until - _BACK_MS]
            without = [one for one in outages if one.until >= heard_until - _BACK_MS]
            why = reasons("", since, now, near, without, now)[-1].why
            yield Condition(
                key=f"gap|{source}",
                kind="gap",
                since=since,
                title=f"{source} is not heard: {why}",
                text=f"{_count(active)}: {_listed(active)}",
                source=source,
                events=tuple(sorted(active))[:MOST_EVENTS],
                patience=patience,
            )
    if newest is not None:
        yield from _not_asked(status, newest, active, patience)


def _not_asked(status: SourceStatus, newest: Interval, active: dict[str, int], patience: int) -> Iterator[Condition]:
    """Of events that became active after the connection was lost, the connection says nothing."""
    asked = {one.code for one in newest.events if one.until is None or one.until >= newest.until}
    for code, since in active.items():
        if code in asked or code in status.refused or since >= newest.until:
            continue
        ended = max((one.until or 0 for one in newest.events if one.code == code), default=newest.opened)
        yield Condition(
            key=f"gap|{status.source}|{code}",
            kind="gap",
            since=max(since, ended),
            title=f"{code} is not heard by {status.source}: {NOT_ASKED}",
            source=status.source,
            events=(code,),
            patience=patience,
        )


def refusals(events: Iterable[Event], entries: Iterable[Entry], now: int) -> Iterator[Condition]:
    """What the sources do not take of the active events, and why. Other words are another condition."""
    active = {event.code for event in events if event.status == "active"}
    for status in statuses_of(entries):
        for code, what in status.refused.items():
            if code in active and what:
                mark = blake2b("\n".join(sorted(what)).encode(), digest_size=6).hexdigest()
                yield Condition(
                    key=f"refused|{status.source}|{code}|{mark}",
                    kind="refused",
                    since=min(status.at, now),
                    title=f"{status.source} was not asked for all of {code}",
                    text="\n".join(what),
                    source=status.source,
                    events=(code,),
                )


def letters(
    count: int, minute_limit: int, reasons_of: Sequence[tuple[str, int]], now: int, standing: bool
) -> Iterator[Condition]:
    """Whether the dead letters of the last minute are too many; once they were, until they are half as many."""
    if count > (minute_limit // 2 if standing else minute_limit):
        yield Condition(
            key="dead-letters",
            kind="dead-letters",
            since=now,
            title=f"{count:,} dead letters in a minute",
            text="\n".join(f"{number:,} of the newest: {why}" for why, number in reasons_of),
        )


def over(begun: Notice, until: int, entries: Iterable[Entry]) -> tuple[str, str]:
    """Title and text for the end of what has begun; a blank title where that is worth no word."""
    lasted = words((until - begun.since) / 1000)
    if begun.kind == "dead-letters":
        return f"no more dead letters than usual, after {lasted}", ""
    if begun.kind != "gap":
        return "", ""
    one_event = begun.condition.count("|") > 1
    what = f"{begun.events[0]} by {begun.source}" if one_event else begun.source
    heard = union((one.since, one.until) for one in of_kind(Interval, entries, begun.source))
    end = max((until for _, until in heard), default=begun.since)
    if end <= begun.since:
        return f"{what}: nobody waits for it any more, after {lasted}", ""
    lost = length(rest([(begun.since, min(end, until))], heard))
    if one_event or lost >= 1000:
        text = "`starling coverage` tells what each event has missed"
    else:
        text = "nothing was lost: the source delivers what it said meanwhile"
    return f"{what} is heard again, after {lasted}", text


def active_since(event: Event) -> int | None:
    """Since when the event collects; None where it does not."""
    if event.status != "active":
        return None
    for change in reversed(event.history):
        status = change.changed.get("status")
        if change.action == "create" or (status is not None and status[1] == "active"):
            return to_ms(change.at)
    return 0


def _count(active: dict[str, int]) -> str:
    return "1 active event" if len(active) == 1 else f"{len(active):,} active events"


def _listed(active: dict[str, int]) -> str:
    codes = sorted(active)
    more = f" and {len(codes) - MOST_EVENTS} more" if len(codes) > MOST_EVENTS else ""
    return ", ".join(codes[:MOST_EVENTS]) + more
