"""X's recent search and recent counts, over the posts that the simulator remembers."""

from __future__ import annotations

import base64
from collections import Counter, deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from app.simulator.rules import InvalidRule, Test, parse
from app.simulator.seen import seen_v2

_REMEMBERED = 10_000  # posts, of about 3 kB
_LEAST, _MOST, _USUAL = 10, 100, 10  # results a page
_MOST_QUERY = 1024
_GRANULARITIES = {"minute": 60, "hour": 3600, "day": 86_400}
_COUNTED_DAYS = 7
_LATEST = 10  # seconds ago


class _Kept(NamedTuple):
    id: int
    at: datetime
    line: bytes


class Memory:
    """The newest posts, whether a rule matched them or not."""

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque(maxlen=_REMEMBERED)

    def keep(self, number: str, line: bytes, body: dict[str, Any]) -> None:
        """Remember a post."""
        if number.isdecimal():
            self._kept.append(_Kept(int(number), _moment(body["data"].get("created_at")), line))

    def search(self, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of posts, newest first. Raises ValueError for parameters that X refuses."""
        test = _test(query)
        start, end = _bound(query, "start_time"), _bound(query, "end_time")
        most = int(query.get("max_results", _USUAL))
        if not _LEAST <= most <= _MOST:
            raise ValueError(f"max_results: {most} is not between {_LEAST} and {_MOST}")
        below = _place(query.get("next_token") or query.get("pagination_token"))
        found: list[dict[str, Any]] = []
        known: set[int] = set()
        for kept in sorted(self._kept, reverse=True):
            if kept.id in known or (below is not None and kept.id >= below):
                continue
            if (start and kept.at < start) or (end and kept.at >= end):
                continue
            body = orjson.loads(kept.line)
            if test(seen_v2(body)):
                if len(found) == most:
                    return _page(found, f"b{found[-1]['data']['id']}")
                known.add(kept.id)
                found.append(body)
        return _page(found, None)

    def counts(self, query: Mapping[str, str]) -> dict[str, Any]:
        """How many posts there are of each hour or so, the oldest first. Raises ValueError for what X refuses."""
        test = _test(query)
        seconds = _GRANULARITIES.get(query.get("granularity", "hour"))
        if seconds is None:
            raise ValueError(f"granularity: {query['granularity']!r} is not one of [day,hour,minute]")
        end = _bound(query, "end_time") or datetime.now(UTC) - timedelta(seconds=_LATEST)
        start = _bound(query, "start_time") or end - timedelta(days=_COUNTED_DAYS)
        if not start < end or start < datetime.now(UTC) - timedelta(days=_COUNTED_DAYS, minutes=1):
            raise ValueError("start_time: not before end_time, or more than seven days ago")
        kept = {kept.id: kept for kept in self._kept if start <= kept.at < end}
        found = Counter(int(one.at.timestamp() // seconds) for one in kept.values() if test(seen_v2(_read(one.line))))
        buckets = range(int(start.timestamp() // seconds), int(-(-end.timestamp() // seconds)))
        data = [
            {
                "end": _iso(min(end.timestamp(), (bucket + 1) * seconds)),
                "start": _iso(max(start.timestamp(), bucket * seconds)),
                "tweet_count": found[bucket],
            }
            for bucket in buckets
        ]
        return {"data": data, "meta": {"total_tweet_count": found.total()}}


def _test(query: Mapping[str, str]) -> Test:
    text = query.get("query", "")
    if not text or len(text) > _MOST_QUERY:
        raise ValueError("query: missing, or too long")
    try:
        return parse(text)
    except InvalidRule as wrong:
        raise ValueError(f"query: {wrong}") from None


def _read(line: bytes) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(line)
    return body


def _iso(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def _page(found: list[dict[str, Any]], following: str | None) -> dict[str, Any]:
    if not found:
        return {"meta": {"result_count": 0}}
    data = [body["data"] for body in found]
    included: dict[str, dict[str, Any]] = {}
    for body in found:
        for kind, items in (body.get("includes") or {}).items():
            for item in items:
                included.setdefault(kind, {})[item.get("id") or item.get("media_key")] = item
    meta = {"newest_id": data[0]["id"], "oldest_id": data[-1]["id"], "result_count": len(data)}
    if following:
        meta["next_token"] = base64.urlsafe_b64encode(following.encode()).decode().rstrip("=")
    includes = {kind: list(items.values()) for kind, items in included.items()}
    return {"data": data, "meta": meta} | ({"includes": includes} if includes else {})


def _place(token: str | None) -> int | None:
    if not token:
        return None
    try:
        return int(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()[1:])
    except ValueError:
        raise ValueError(f"next_token: {token!r} is none of ours") from None


def _bound(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is no time") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _moment(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.now(UTC)
