"""Spans of time, and what they have in common. A list of spans is ascending and disjoint where nothing else is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]  # milliseconds since 1970; the end is not part of it


def length(spans: Iterable[Span]) -> int:
    """Milliseconds of all of them."""
    return sum(end - start for start, end in spans)


def union(spans: Iterable[Span]) -> list[Span]:
    """What is in any of the spans, in whatever order they come."""
    joined: list[Span] = []
    for since, until in sorted(spans):
        if joined and since <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], until)
        else:
            joined.append((since, until))
    return joined


def intersection(some: Iterable[Span], others: list[Span]) -> list[Span]:
    """What is in both."""
    return [
        (max(start, since), min(end, until))
        for start, end in some
        for since, until in others
        if max(start, since) < min(end, until)
    ]


def rest(whole: Iterable[Span], parts: list[Span]) -> list[Span]:
    """What the parts leave of the whole."""
    return [left for span in whole for left in _rest(span, parts)]


def meet(some: Iterable[Span], since: int, until: int) -> bool:
    """Whether any of the spans has a moment in this time."""
    return any(start < until and since < end for start, end in some)


def _rest(whole: Span, parts: list[Span]) -> Iterator[Span]:
    at, end = whole
    for since, until in parts:
        if until <= at or since >= end:
            continue
        if since > at:
            yield at, since
        at = max(at, until)
    if at < end:
        yield at, end
