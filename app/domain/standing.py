"""Which rows of a batch may be written where a post of an event came twice: by the live path, and by hearing the past.

A rematch, a search, an import, a dead letter that is sent once more, and what two trackers send around a hand-over
(`app.domain.holders`) bring posts that may stand already: these stay as they are, and are not counted again. Who came
first stays: on `classified_tweets` the copies of a post lie in one partition and thus have an order, and what was
decided once is decided the same way when records are read again, since the row that was written then stands. (Of a dead
letter whose worker is killed between the row and its count, the count is missing.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from msgspec import Struct

from app.domain.records import PAST
from app.domain.rows import Key, Row

T = TypeVar("T")


class Standing(Struct, frozen=True):
    """How a row that stands came there."""

    origin: str
    version: int  # of the event
    received_at: int  # milliseconds since 1970; 0 if not known


def yields(row: Row) -> bool:
    """Whether it may have been stored before, by another way."""
    return row.line.again or row.line.origin in PAST


def left(rows: Iterable[tuple[T, Row]], standing: Mapping[Key, Standing]) -> list[tuple[T, Row]]:
    """The rows, each with what belongs to it, without those whose post stands already or comes earlier among them."""
    return unrivalled(rows, standing, _is_own)


def unrivalled(
    rows: Iterable[tuple[T, Row]], standing: Mapping[Key, Standing], is_own: Callable[[Row, Standing], bool]
) -> list[tuple[T, Row]]:
    """The rows beside whose post nothing stands, nor comes earlier among them, but what `is_own` takes for the row."""
    known = dict(standing)
    kept = []
    for place, row in rows:
        before = known.get(row.key)
        if before is None or is_own(row, before):
            known[row.key] = Standing(row.line.origin, row.version, row.line.received_at)
            kept.append((place, row))
    return kept


def _is_own(row: Row, before: Standing) -> bool:
    """Whether what stands is the row itself, written before a kill, or one that it replaces."""
    origin = row.line.origin
    if row.line.again:
        return False  # which of several it is that stands cannot be told
    if origin in PAST:
        # Of the same raw record; and the event's version grows with each wish: what is older was written by an older
        # rematch. What a source was asked for names no wish.
        same = before.received_at == row.line.received_at
        return before.origin == origin and same and before.version >= row.rematch
    if row.line.generation and before.origin == origin:
        return before.received_at == row.line.received_at
    return before.origin not in PAST
