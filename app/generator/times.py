"""Times and ids of posts, in the forms of each source."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

# X's epoch, 2010-11-04T01:42:54.657Z: an id is the milliseconds since then, and 22 bits that make it unique.
EPOCH_MS = 1_288_834_974_657
_SEQUENCE_BITS = 22
_CLOCK_BITS = 10  # of a TID, below its microseconds
_TID_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def snowflake(at_ms: int, sequence: int) -> int:
    """Id of a post made at this moment; different for 4 million sequence numbers in a row."""
    return (at_ms - EPOCH_MS) << _SEQUENCE_BITS | sequence & ((1 << _SEQUENCE_BITS) - 1)


def tid(number: int) -> str:
    """The record key (atproto TID) of the post that is a snowflake elsewhere: its time, and what makes it unique."""
    sequence = number & ((1 << _SEQUENCE_BITS) - 1)
    microseconds = ((number >> _SEQUENCE_BITS) + EPOCH_MS) * 1000 + sequence % 1000
    value = microseconds << _CLOCK_BITS | sequence // 1000 % (1 << _CLOCK_BITS)
    return "".join([_TID_ALPHABET[value >> 5 * place & 31] for place in reversed(range(13))])


def v1(at_ms: int) -> str:
    """As v1.1 writes a time, in any locale: it has no fractions of a second."""
    return _v1(at_ms // 1000)


@lru_cache(maxsize=4096)
def _v1(seconds: int) -> str:
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{_DAYS[at.weekday()]} {_MONTHS[at.month - 1]} {at:%d %H:%M:%S} +0000 {at.year}"


def v2(at_ms: int) -> str:
    """As v2 writes a time."""
    return f"{_iso(at_ms // 1000)}.{at_ms % 1000:03}Z"


@lru_cache(maxsize=4096)
def _iso(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
