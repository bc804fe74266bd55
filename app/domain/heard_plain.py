"""What was heard of an event as plain JSON, where every time is ISO 8601: for the CLI, the API and manifests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from app.domain.coverage import Entry, Interval, Outage
from app.domain.events import Event
from app.domain.heard import Gap, Heard, Jointly, active_in, coverage, jointly
from app.domain.spans import Span, length


class WholeCoverage(Struct, frozen=True):
    """What the ledger says of an event; every time is ISO 8601."""

    code: str
    active_seconds: float  # in which the event collected, of the time that is looked at
    all_sources: dict[str, Any]  # as `plain_joint` makes it
    sources: list[dict[str, Any]]  # as `plain` does
    platform_only: int
    posts: dict[str, int] = {}  # as `Activity.balance` has it, of the whole event: collected = stored + removed


def whole_coverage(
    event: Event, entries: Iterable[Entry], now: int, span: Span | None, platform_only: int, posts: dict[str, int]
) -> WholeCoverage:
    """How the event was heard in its active time, which `span` cuts (milliseconds since 1970)."""
    entries = list(entries)
    sources = [plain(one) for one in coverage(event, entries, now, span)]
    active = length(active_in(event, now, span)) / 1000
    joint = plain_joint(jointly(event, entries, now, span), now)
    return WholeCoverage(event.code, active, joint, sources, platform_only, posts)


def plain(heard: Heard) -> dict[str, Any]:
    """How an event was heard by one source."""
    return {
        "source": heard.source,
        "share": _rounded(heard.share),
        "active_seconds": heard.active / 1000,
        "heard_seconds": heard.heard / 1000,
        "partly_seconds": heard.partly / 1000,
        "gaps": [_plain_gap(gap) for gap in heard.gaps],
        "without": [
            {
                "from": iso(one.since),
                "to": None if one.goes_on else iso(one.until),
                "seconds": (one.until - one.since) / 1000,
                "what": one.what,
            }
            for one in heard.without
        ],
        "left": [{"from": iso(one.since), "to": iso(one.until), "by": one.holder} for one in heard.left],
        "withheld": heard.withheld,
        "posts": heard.posts,
        "posts_are_of_the_event": heard.exact,
        "intervals": [_with_times(interval) for interval in heard.intervals],
        "outages": [_with_times(outage) for outage in heard.outages],
    }


def plain_joint(joint: Jointly, now: int) -> dict[str, Any]:
    """How it was heard by all sources together."""
    return {
        "share": _rounded(joint.share),
        "active_seconds": joint.active / 1000,
        "heard_seconds": joint.heard / 1000,
        "gaps": [{"from": iso(since), "to": None if until >= now else iso(until)} for since, until in joint.gaps],
    }


def _rounded(share: float) -> float:
    """Never 1 where something is missing."""
    return min(round(share, 6), 0.999999) if share < 1 else 1.0


def _plain_gap(gap: Gap) -> dict[str, Any]:
    ends = [reason.until for reason in gap.reasons[:-1]]
    to = None if gap.goes_on else iso(gap.until)
    return {
        "from": iso(gap.since),
        "to": to,
        "seconds": gap.seconds,
        "why": [
            {"from": iso(reason.since), "to": end, "why": reason.why}
            for reason, end in zip(gap.reasons, [*map(iso, ends), to], strict=True)
        ],
    }


_TIMES = frozenset(("opened", "since", "until", "at"))
_NAMED_BY_OTHERS = frozenset(("tagged", "reads"))  # keys of these are codes of events, and months


def _with_times(entry: Interval | Outage) -> Any:
    """An entry of the ledger as it is written, but for its times."""
    return _iso_times(msgspec.to_builtins(entry))


def _iso_times(value: Any) -> Any:
    if isinstance(value, list):
        return [_iso_times(one) for one in value]
    if isinstance(value, dict):
        return {
            name: iso(one) if name in _TIMES else one if name in _NAMED_BY_OTHERS else _iso_times(one)
            for name, one in value.items()
        }
    return value


def iso(ms: int | None) -> str | None:
    """Milliseconds since 1970 as text."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat()
