"""How what was heard of an event looks on a terminal. `app.domain.heard_plain` says what is in these dicts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, TypeAlias

from rich.text import Text

from app.domain.watchdog import words
from cli.terminal import cell, moment

Plain: TypeAlias = dict[str, Any]

GAP_COLUMNS = ("from", "to", "length", "why")
WITHOUT_COLUMNS = ("from", "to", "length", "heard without")
_MOST_REASONS = 4  # in a line


def left_sentences(heard: Plain) -> Iterator[str]:
    """When the source was not listened to by intention: that time is not in its share."""
    for one in heard["left"]:
        until = "" if one["to"] is None else f" to {_shown(one['to'])}"
        since = f"from {_shown(one['from'])}{until}"
        yield f"{heard['source']} was not among STARLING_SOURCES {since} (by {one['by']}); that time does not count"


def gap_rows(heard: Plain) -> Iterator[tuple[Text, ...]]:
    """A row of GAP_COLUMNS for each gap."""
    for gap in heard["gaps"]:
        yield _row(gap, _why(gap))


def without_rows(heard: Plain) -> Iterator[tuple[Text, ...]]:
    """A row of WITHOUT_COLUMNS for each time in which the source was not asked for all."""
    for one in heard["without"]:
        yield _row(one, one["what"])


def _row(span: Plain, text: str) -> tuple[Text, ...]:
    until = "now" if span["to"] is None else _shown(span["to"])
    return cell(_shown(span["from"])), cell(until), cell(_length(span["seconds"])), cell(text)


def _why(gap: Plain) -> str:
    """The reasons of a gap, each but the first with since when."""
    first, *others = gap["why"]
    told = [first["why"], *(f"from {_clock(one['from'], gap['from'])} {one['why']}" for one in others)]
    if (more := len(told) - _MOST_REASONS) > 0:
        told[_MOST_REASONS - 1 : -1] = [f"{more} more"]
    return "; ".join(told)


def _length(seconds: float) -> str:
    return words(seconds) if seconds >= 10 else f"{max(seconds, 0.1):.1f} s"


def _shown(at: str) -> str:
    return moment(datetime.fromisoformat(at))


def _clock(text: str, beside: str) -> str:
    """A time, shorter where another one of the same day stands before it."""
    at, other = (datetime.fromisoformat(one).astimezone() for one in (text, beside))
    return f"{at:%H:%M:%S}" if at.date() == other.date() else moment(at)
