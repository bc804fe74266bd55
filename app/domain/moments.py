"""Times of posts as milliseconds since 1970 UTC, from the forms that sources write them in.

Independent of the locale. Times before 1970 or after 9999 count as absent: no source has made them, and what reads
them later (Python's datetime) could not hold the latter.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_END_MS = 253_402_300_800_000  # 10000-01-01
_V1_LENGTH = len("Mon Sep 24 03:35:21 +0000 2012")

_MONTHS = {"JanFebMarAprMayJunJulAugSepOctNovDec"[3 * month : 3 * month + 3]: month + 1 for month in range(12)}
_MINUTES = {f"{hour:02}:{minute:02}:": (hour * 60 + minute) * 60_000 for hour in range(24) for minute in range(60)}
_SECONDS = {f"{second:02}": second * 1000 for second in range(60)}
# "Sep 24  +0000 2012" -> its midnight. Users' days alone are 6,000 since 2006; a hostile source could send all of 8,000
# years, hence the bound.
_days: dict[str, int] = {}
_MAX_DAYS = 20_000


def moment(value: object) -> int | None:
    """Milliseconds since 1970 of a v1.1 time ("Mon Sep 24 03:35:21 +0000 2012") or an ISO 8601 one, else None.

    An ISO time without an offset is UTC (X API v2 and atproto always send one).
    """
    if type(value) is not str:
        return None
    try:
        return _days[value[4:11] + value[19:]] + _MINUTES[value[11:17]] + _SECONDS[value[17:19]]
    except KeyError:
        return _v1_moment(value) if len(value) == _V1_LENGTH and value[3] == " " else _iso_moment(value)


def in_utc(at: datetime) -> datetime:
    """A person's time in UTC. Raises ValueError, in words for them, where it has no zone or its year is none of ours.

    Years at the ends of what Python can hold are refused: in another zone they would overflow, wherever they are shown.
    """
    if at.tzinfo is None:
        raise ValueError(f"time {at.isoformat()} has no time zone")
    if not 1 < at.year < 9999:
        raise ValueError(f"time {at.isoformat()} is not within the years 2 to 9998")
    return at.astimezone(UTC)


def in_range(milliseconds: int) -> int | None:
    """The same number if it is a moment of the years 1970 to 9999, else None."""
    return milliseconds if 0 <= milliseconds < _END_MS else None


def _v1_moment(value: str) -> int | None:
    if value[19:26] != " +0000 " or value[11:17] not in _MINUTES or value[17:19] not in _SECONDS:
        return None
    try:
        midnight = datetime(int(value[26:]), _MONTHS[value[4:7]], int(value[8:10]), tzinfo=UTC)
    except (KeyError, ValueError):
        return None
    day = in_range((midnight - _EPOCH) // _MILLISECOND)
    if day is None:
        return None
    if len(_days) >= _MAX_DAYS:
        _days.clear()
    _days[value[4:11] + value[19:]] = day
    return day + _MINUTES[value[11:17]] + _SECONDS[value[17:19]]


def _iso_moment(value: str) -> int | None:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return in_range(((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND)
