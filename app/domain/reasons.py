"""Why an event was not heard: what the ledger says of each moment of a gap."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from app.domain.coverage import IDLE, LOST, TOLD_MS, Interval, Outage

NOT_YET = "not connected yet"
NOT_ASKED = "the source was not asked for it"
NOT_DELIVERED = "the source has not delivered it yet"
DIED = "its tracker has died, or is cut off from Kafka"
# An event is heard some moments after a person has asked for it: no gap, unless it takes longer than this.
LEAD_MS = 5_000


class Reason(Struct, frozen=True):
    """Why nothing was heard in a part of a gap."""

    since: int
    until: int
    why: str


def reasons(
    code: str, since: int, until: int, intervals: Sequence[Interval], outages: Sequence[Outage], now: int
) -> tuple[Reason, ...]:
    """The reasons of a gap of an event, one after the other, from its start to its end."""
    live = [one for one in intervals if one.origin == "live"]
    near = [one for one in live if one.since < until and since < one.until]
    without = [one for one in outages if one.since < until and since < end_of(one, now)]
    before: list[Interval | Outage] = [one for one in live if one.until <= since]
    before += [one for one in outages if end_of(one, now) <= since]
    records: list[Interval | Outage] = [*near, *without]
    if before:
        records.append(max(before, key=_age))
    behind = _catching_up(live, outages)
    bounds = {since, *(one.since for one in records), *(end_of(one, now) for one in records)}
    starts = sorted(bound for bound in bounds if since <= bound < until)
    told: list[Reason] = []
    for start, end in zip(starts, [*starts[1:], until], strict=True):
        why = _why(code, start, near, without, records, behind, now)
        goes_on = bool(told) and told[-1].why == why
        told.append(Reason(told.pop().since if goes_on else start, end, why))
    if len(told) > 1 and told[0].why == NOT_YET and told[0].until - since <= LEAD_MS:
        told[:2] = [Reason(since, told[1].until, told[1].why)]
    return tuple(told)


def end_of(one: Interval | Outage, now: int) -> int:
    """When it was over. An outage that lasts was told some seconds ago, and is not over."""
    lasts = isinstance(one, Outage) and one.ended is None and now - one.until < TOLD_MS
    return max(now, one.until) if lasts else one.until


def _why(
    code: str,
    at: int,
    near: Sequence[Interval],
    without: Sequence[Outage],
    records: Sequence[Interval | Outage],
    behind: Interval | None,
    now: int,
) -> str:
    if connected := [one for one in near if one.since <= at < one.until]:
        return _not_asked(code, at, max(connected, key=_age))
    if behind is not None and behind.until <= at:
        asked = any(one.code == code and (one.until is None or at < one.until) for one in behind.events)
        return NOT_DELIVERED if asked else _not_asked(code, at, behind)
    if lasting := [one for one in without if one.since <= at < end_of(one, now)]:
        return max(lasting, key=lambda one: one.since).why
    over = [one for one in records if end_of(one, now) <= at]
    if not over:
        return NOT_YET
    ended = max(over, key=_age).ended
    return NOT_YET if ended == IDLE else ended or DIED


def _not_asked(code: str, at: int, interval: Interval) -> str:
    refused = [
        why
        for one in interval.refused
        if one.code == code and one.since <= at and (one.until is None or at < one.until)
        for why in one.what
    ]
    if LOST in refused:
        return LOST
    return f"{NOT_ASKED} ({'; '.join(refused)})" if refused else NOT_ASKED


def _catching_up(live: Sequence[Interval], outages: Sequence[Outage]) -> Interval | None:
    """The connection that delivers its past still; nothing has begun after it."""
    records: list[Interval | Outage] = [*live, *outages]
    newest = max(records, key=_begun, default=None)
    return newest if isinstance(newest, Interval) and newest.behind and newest.ended is None else None


def _begun(one: Interval | Outage) -> int:
    return one.opened if isinstance(one, Interval) else one.since


def _age(one: Interval | Outage) -> tuple[int, int]:
    """What was over last; a connection that has delivered only a past before its beginning was not over before that."""
    return max(one.until, _begun(one)), _begun(one)
