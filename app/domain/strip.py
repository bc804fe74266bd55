"""A span of time as a strip: when an event was heard by each source, when not, and what the source kept back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from app.domain.coverage import Entry
from app.domain.events import Event
from app.domain.heard import Heard, active_in, coverage
from app.domain.spans import Span, intersection, rest, union

State: TypeAlias = Literal["heard", "gap", "resting"]


class Piece(Struct, frozen=True):
    """A part of a strip in one state. Times are milliseconds since 1970."""

    since: int
    until: int
    state: State
    why: str = ""  # of a gap


class Kept(Struct, frozen=True):
    """Posts that a source kept back, by its own notice; of all events."""

    at: int
    posts: int


class Strip(Struct, frozen=True):
    """One source in a span: pieces that follow on one another, and what was withheld in it."""

    source: str
    share: float  # of the active time that was heard, of 1
    pieces: tuple[Piece, ...]
    withheld: tuple[Kept, ...]


def strips(event: Event, entries: Iterable[Entry], span: Span, now: int) -> list[Strip]:
    """A strip for each source that the ledger knows in the event's active time within a span."""
    active = active_in(event, now, span)
    return [_strip(heard, active, span) for heard in coverage(event, entries, now, span)]


def _strip(heard: Heard, active: list[Span], span: Span) -> Strip:
    withheld = [Kept(one.at, one.posts) for interval in heard.intervals for one in interval.withheld]
    return Strip(
        heard.source,
        heard.share,
        tuple(_pieces(heard, active, span)),
        tuple(sorted((one for one in withheld if span[0] <= one.at < span[1]), key=lambda one: one.at)),
    )


def _pieces(heard: Heard, active: list[Span], span: Span) -> Iterator[Piece]:
    away = union((one.since, span[1] if one.until is None else one.until) for one in heard.left)
    counted = rest(active, away)
    gaps = [(gap.since, gap.until) for gap in heard.gaps]
    found = [Piece(since, until, "resting") for since, until in rest([span], counted)]
    found += [Piece(since, until, "heard") for since, until in rest(counted, gaps)]
    for gap in heard.gaps:
        found += [
            Piece(since, until, "gap", gap.why) for since, until in intersection([(gap.since, gap.until)], [span])
        ]
    yield from sorted(found, key=lambda piece: piece.since)
