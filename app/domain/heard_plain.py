"""What was heard of an event as plain JSON, where every time is ISO 8601: for the CLI, the API and manifests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from app.domain.coverage import Interval, Outage
from app.domain.heard import Gap, Heard, Jointly


def plain(heard: Heard) -> dict[str, Any]:
    """How an event was heard by one source."""
    return {
        "source": heard.source,
        "share": round(heard.share, 6),
        "active_seconds": heard.active / 1000,
        "heard_seconds": heard.heard / 1000,
        "partly_seconds": heard.partly / 1000,
        "gaps": [_plain_gap(gap) for gap in heard.gaps],
        "without": [
            {"from": iso(one.since), "to": None if one.goes_on else iso(one.until), "what": one.what}
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
        "share": round(joint.share, 6),
        "active_seconds": joint.active / 1000,
        "heard_seconds": joint.heard / 1000,
        "gaps": [{"from": iso(since), "to": None if until >= now else iso(until)} for since, until in joint.gaps],
    }


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
