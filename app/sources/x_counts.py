"""X's recent counts: how many posts of the last seven days an event's selection would find, without reading one."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import msgspec
from msgspec import Struct, field

from app.domain.events import Event
from app.domain.preview import Bin, Counted
from app.domain.rules import plan_rules
from app.settings import Settings
from app.sources.source import Broken, Trouble
from app.sources.x_client import COUNTS, Client

_MOST_QUERIES = 4  # of the 300 that X answers in a quarter of an hour


class _Bucket(Struct):
    start: datetime
    end: datetime
    tweet_count: int


class _Answer(Struct):
    data: list[_Bucket] = field(default_factory=list)


_decode = msgspec.json.Decoder(_Answer).decode


async def counted_by_x(settings: Settings, event: Event) -> Counted:
    """What X counts by the hour. A post that several of its queries find is counted several times. Raises Broken."""
    plan = plan_rules([event], most=_MOST_QUERIES, length=settings.x_query_length)
    token = settings.x_bearer_token
    hours: Counter[int] = Counter()
    ends: list[int] = []
    client = Client(settings.x_url, token.get_secret_value() if token else None)
    try:
        for query in dict.fromkeys(rule.value for rule in plan.rules):
            for bucket in _buckets(await client.fetch("GET", COUNTS, {"query": query, "granularity": "hour"})):
                hours[int(bucket.start.timestamp() * 1000)] += bucket.tweet_count
                ends.append(int(bucket.end.timestamp() * 1000))
    finally:
        await client.close()
    return Counted(
        source="X",
        since=min(hours, default=0),
        until=max(ends, default=0),
        total=hours.total(),
        queries=len(plan.rules),
        hours=tuple(Bin(start, 0, count) for start, count in sorted(hours.items())),
        left_out=plan.refused.get(event.code, ()),
    )


def _buckets(body: bytes) -> list[_Bucket]:
    try:
        answer: _Answer = _decode(body)
    except msgspec.DecodeError:
        raise Broken(Trouble.HTTP, "X answered its counts in a form that is not known") from None
    return answer.data
