"""Values in Cassandra's binary form, straight from the normalizer.

The driver's own binding is generic and checks every value of every row, which costs several times as much.
Source: CQL binary protocol v4, section 6 ("Data type serialization formats").
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from struct import Struct as Packer
from typing import Any, TypeAlias

import msgspec
from cassandra.query import UNSET_VALUE

from app.domain.columns import EVENT_COLUMNS, OUR_COLUMNS, OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.coverage import Interval, Left, Outage
from app.domain.rows import Row

Encoded: TypeAlias = list[Any]  # bytes, or UNSET_VALUE: a null would be a tombstone

_int = Packer(">i").pack
_bigint = Packer(">q").pack


def _list(values: Sequence[str]) -> bytes:
    parts = [_int(len(values))]
    for value in values:
        encoded = value.encode()
        parts += (_int(len(encoded)), encoded)
    return b"".join(parts)


def _map(values: Mapping[str, str]) -> bytes:
    """A map's entries in the order of their keys, as Cassandra itself keeps them."""
    return _int(len(values)) + b"".join(_list(entry)[4:] for entry in sorted(values.items()))


def _boolean(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


_ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "text": str.encode,
    "int": _int,
    "boolean": _boolean,
    "timestamp": _bigint,
    "uuid": bytes,
    "list<text>": _list,
    "frozen<map<text, text>>": _map,
}
_Encoders: TypeAlias = list[Callable[[Any], bytes]]


def _encoders(columns: Mapping[str, str]) -> _Encoders:
    return [_ENCODERS[kind] for kind in columns.values()]


_OF_EVENT = _encoders(EVENT_COLUMNS)
_OF_POST = _encoders(POST_COLUMNS | OUR_POST_COLUMNS)
_OF_WAY = _encoders(OUR_COLUMNS)


def _encoded(encoders: _Encoders, values: Sequence[Any]) -> Encoded:
    return [UNSET_VALUE if value is None else encode(value) for encode, value in zip(encoders, values, strict=True)]


def encode_row(row: Row, stamp: int) -> Encoded:
    """Values of a row of `tweet`, and of when (microseconds); those of the post are made once for all its events."""
    post = row.post
    if post.encoded is None:
        post.encoded = _encoded(_OF_POST, post.values)
    return [*_encoded(_OF_EVENT, row.event_values), *post.encoded, *_encoded(_OF_WAY, row.way_values), _bigint(stamp)]


def encode_raw(row: Row, stamp: int) -> Encoded:
    """Values of its row of `tweet_raw`, and of when (microseconds)."""
    return [row.code.encode(), row.bucket.encode(), row.post.id.encode(), row.post.raw, _bigint(stamp)]


def encode_bucket(row: Row) -> Encoded:
    """Values of its bucket's row of `event_bucket`."""
    return [row.code.encode(), row.bucket.encode(), _bigint(row.bucket_since), _int(row.bucket_seconds)]


def encode_terms(row: Row, moment: int, terms: Collection[str], stamp: int) -> Encoded:
    """Of when (microseconds), terms to add to its row of `post_index`, then the key of that."""
    return [
        _bigint(stamp),
        _list(sorted(terms)),
        row.code.encode(),
        row.bucket.encode(),
        _bigint(moment),
        row.post.id.encode(),
    ]


def coverage_values(interval: Interval) -> list[Any]:
    """Values of a row of `coverage`, for the driver to bind; it takes timestamps in milliseconds."""
    return [
        interval.source,
        interval.opened,
        interval.connection,
        interval.since,
        interval.until,
        interval.ended,
        interval.origin,
        interval.posts,
        interval.duplicates,
        interval.lines,
        sum(one.posts for one in interval.withheld),
        msgspec.json.encode(interval.withheld).decode(),
        msgspec.json.encode(interval.events).decode(),
        msgspec.json.encode(interval.tagged).decode(),
        msgspec.json.encode(interval.refused).decode(),
        _stamp(interval.until, interval.ended) + interval.revised,
    ]


def outage_values(one: Outage | Left) -> list[Any]:
    """Values of a row of `outage`, for the driver to bind."""
    if isinstance(one, Left):
        why = f"not among the STARLING_SOURCES of {one.holder}"
        return [one.source, one.since, "left", one.until, why, None, _stamp(one.until or one.since, one.until)]
    return [one.source, one.since, "outage", one.until, one.why, one.ended, _stamp(one.until, one.ended)]


def _stamp(until: int, ended: object) -> int:
    """Of the write, in microseconds. The last word may come when nothing was heard since the one before."""
    return until * 1000 + (ended is not None)
