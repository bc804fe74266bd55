"""How what was heard of an event looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.text import Text

from app.domain.heard import Gap, Heard, Jointly
from app.domain.watchdog import words
from cli.terminal import cell, moment

GAP_COLUMNS = ("from", "to", "length", "why")
WITHOUT_COLUMNS = ("from", "to", "length", "heard without")
_MOST_REASONS = 4  # in a line


def sentence(heard: Heard) -> str:
    """How an event was heard by a source."""
    gaps = "no gap" if not heard.gaps else f"{len(heard.gaps)} gap" + "s" * (len(heard.gaps) > 1)
    partly = f" (in {_percent_at_least(heard.partly / heard.heard)} of it only in part)" if heard.partly else ""
    withheld = f", ~{heard.withheld:,} posts withheld by the source" if heard.withheld else ""
    of = "posts" if heard.exact else "posts of all events"
    share = f"{percent(heard.share)} of the time heard{partly}"
    return f"{heard.source}: {share}, {gaps}{withheld}; {heard.posts:,} {of}"


def joint_sentence(joint: Jointly) -> str:
    """How an event was heard by all sources together."""
    return f"all sources: {percent(joint.share)} of the time heard by at least one"


def left_sentences(heard: Heard) -> Iterator[str]:
    """When the source was not listened to by intention: that time is not in its share."""
    for one in heard.left:
        until = "" if one.until is None else f" to {_shown(one.until)}"
        since = f"from {_shown(one.since)}{until}"
        yield f"{one.source} was not among STARLING_SOURCES {since} (by {one.holder}); that time does not count"


def gap_rows(heard: Heard) -> Iterator[tuple[Text, ...]]:
    """A row of GAP_COLUMNS for each gap."""
    for gap in heard.gaps:
        yield _row(gap.since, gap.until, _why(gap), goes_on=gap.goes_on)


def without_rows(heard: Heard) -> Iterator[tuple[Text, ...]]:
    """A row of WITHOUT_COLUMNS for each time in which the source was not asked for all."""
    for one in heard.without:
        yield _row(one.since, one.until, one.what, goes_on=one.goes_on)


def percent(share: float) -> str:
    """One decimal, and never 100 % where something is missing."""
    return "100 %" if share == 1 else f"{min(int(share * 1000) / 10, 99.9):g} %"


def _percent_at_least(share: float) -> str:
    """One decimal, and never 0 % of what there is."""
    return f"{max(round(share * 100, 1), 0.1):g} %"


def _row(since: int, until: int, text: str, *, goes_on: bool) -> tuple[Text, ...]:
    return (
        cell(_shown(since)),
        cell("now" if goes_on else _shown(until)),
        cell(_length((until - since) / 1000)),
        cell(text),
    )


def _why(gap: Gap) -> str:
    """The reasons of a gap, each but the first with since when."""
    told = [gap.why, *(f"from {_clock(reason.since, gap.since)} {reason.why}" for reason in gap.reasons[1:])]
    if (more := len(told) - _MOST_REASONS) > 0:
        told[_MOST_REASONS - 1 : -1] = [f"{more} more"]
    return "; ".join(told)


def _length(seconds: float) -> str:
    return words(seconds) if seconds >= 10 else f"{max(seconds, 0.1):.1f} s"


def _shown(ms: int) -> str:
    return moment(datetime.fromtimestamp(ms / 1000, UTC))


def _clock(ms: int, beside: int) -> str:
    """A time, shorter where another one of the same day stands before it."""
    at, other = (datetime.fromtimestamp(one / 1000, UTC).astimezone() for one in (ms, beside))
    return f"{at:%H:%M:%S}" if at.date() == other.date() else moment(at)
