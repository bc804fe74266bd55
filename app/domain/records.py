"""The records of the topics as values: what stands in them, how headers are written and read.

`raw_tweets` holds 1..N source messages, `classified_tweets` 1..N posts of one event, each line a message of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, get_args

import msgspec
from msgspec import Struct

from app.domain.moments import in_range

Headers: TypeAlias = list[tuple[str, bytes]]
Origin: TypeAlias = Literal["live", "replay", "import", "rematch", "search"]
Cause: TypeAlias = Literal["unreadable", "too large", "not storable", "no command"]  # of a dead letter

PAST = ("rematch", "search", "import")  # origins of posts that may have come before, by another way
_ORIGINS = get_args(Origin)


class RawRecord(Struct, frozen=True):
    """A record of `raw_tweets`. Without headers it is a plain one: received when Kafka got it, live."""

    topic: str
    partition: int
    offset: int
    value: bytes
    received_at: int  # milliseconds since 1970
    source: str = "unknown"
    origin: str = "live"
    lately: str = ""  # see app.domain.lately
    again: bool = False  # a dead letter that somebody has sent once more
    generation: int = 0  # of the lease of the tracker that sent it; 0: no tracker has
    as_of: int | None = None  # it belongs to the events as they were then, where that is not when it was received
    event: str = ""  # code of the event whose wish to hear the past it answers, or that it is imported for: of no other
    filtered: bool = False  # the tracker kept only what events wanted then, of a source that hands over all

    @property
    def wanted_at(self) -> int:
        """When it was wanted: it belongs to the events as they were then, too (milliseconds since 1970)."""
        return self.received_at if self.as_of is None else self.as_of

    @property
    def lines(self) -> list[bytes]:
        """The source messages, each as it was sent."""
        lines = self.value.removesuffix(b"\n").split(b"\n")
        return [line.removesuffix(b"\r") for line in lines] if b"\r" in self.value else lines


class Line(Struct, frozen=True, array_like=True):
    """Where a line of a classified record came from, and what of it matched."""

    partition: int
    offset: int
    line: int  # of the raw record
    part: int  # of that line, where it held several posts
    received_at: int
    source: str
    origin: str
    matched: dict[str, str]
    again: bool = False  # see RawRecord
    generation: int = 0  # see RawRecord
    as_of: int | None = None  # see RawRecord

    @property
    def position(self) -> tuple[int, int, int]:
        """Its place in the raw partition; later lines compare greater."""
        return self.offset, self.line, self.part


class ClassifiedRecord(Struct, frozen=True):
    """A record of `classified_tweets`: posts of one event at one version."""

    code: str
    version: int
    lines: list[Line]
    posts: list[bytes]
    rematch: int = 0  # version at which the rematch was wished that sent it; 0: what is heard now


class Way(Struct, frozen=True):
    """How a line came, as it is kept for who sends it once more."""

    source: str
    origin: str
    received_at: int
    as_of: int | None = None
    event: str = ""  # code of the only event that it can belong to

    def headers(self) -> Headers:
        """The same as headers, by the names that raw records have them by."""
        told = {
            "source": self.source,
            "origin": self.origin,
            "received_at": str(self.received_at),
            "as_of": "" if self.as_of is None else str(self.as_of),
            "event": self.event,
        }
        return [(name, value.encode()) for name, value in told.items() if value]


class DeadLetter(Struct, frozen=True):
    """Bytes that could not be handled, and why. Its id makes a repetition recognizable."""

    topic: str
    partition: int
    offset: int
    line: int
    reason: str
    value: bytes
    way: Way | None = None  # how it came, where that is known
    cause: Cause = "unreadable"  # of what kind the reason is; counted, not kept

    @property
    def id(self) -> str:
        """topic:partition:offset:line."""
        return f"{self.topic}:{self.partition}:{self.offset}:{self.line}"

    def headers(self) -> Headers:
        """Headers of its record in `dead_letters`."""
        return [
            ("reason", self.reason.encode()),
            ("topic", self.topic.encode()),
            ("partition", str(self.partition).encode()),
            ("offset", str(self.offset).encode()),
            ("line", str(self.line).encode()),
            *(self.way.headers() if self.way else ()),
        ]


_lines_encoder = msgspec.json.Encoder()
_lines_decoder = msgspec.json.Decoder(list[Line])


def raw_headers(
    source: str,
    form: str,
    received_at: int,
    origin: Origin,
    connection: str = "",
    as_of: int | None = None,
    event: str = "",
) -> Headers:
    """Headers of a raw record."""
    headers = {
        "source": source,
        "format": form,
        "received_at": str(received_at),
        "origin": origin,
        "connection": connection,
        "as_of": "" if as_of is None else str(as_of),
        "event": event,
    }
    return [(name, text.encode()) for name, text in headers.items() if text]


def raw_record(
    topic: str, partition: int, offset: int, value: bytes | None, headers: Mapping[str, bytes | None], timestamp_ms: int
) -> RawRecord:
    """A raw record from its Kafka parts; any header may be missing, null or nonsense."""
    moment = _moment(headers.get("received_at"))
    origin = (headers.get("origin") or b"").decode("utf-8", "replace")
    return RawRecord(
        topic,
        partition,
        offset,
        value or b"",
        moment if moment is not None else timestamp_ms,
        (headers.get("source") or b"unknown").decode("utf-8", "replace"),
        origin if origin in _ORIGINS else "live",
        (headers.get("lately") or b"").decode("ascii", "replace"),
        bool(headers.get("letter")),
        _generation(headers.get("generation")),
        _moment(headers.get("as_of")),
        (headers.get("event") or b"").decode("utf-8", "replace"),
        bool(headers.get("filtered")),
    )


def _moment(said: bytes | None) -> int | None:
    return in_range(int(said)) if said and said.isdigit() and len(said) <= 15 else None


def _generation(said: bytes | None) -> int:
    return int(said) if said and said.isdigit() and len(said) <= 9 else 0


def classified_headers(version: int, lines: Iterable[Line], rematch: int = 0) -> Headers:
    """Headers of a classified record."""
    headers = [("event_version", str(version).encode()), ("lines", _lines_encoder.encode(list(lines)))]
    return [*headers, ("rematch", str(rematch).encode())] if rematch else headers


def classified_record(key: bytes | None, value: bytes | None, headers: Mapping[str, bytes | None]) -> ClassifiedRecord:
    """A classified record from its Kafka parts. Raises ValueError where key, headers and lines do not agree."""
    if not key or not value:
        raise ValueError("a classified record without an event code or posts")
    try:
        lines = _lines_decoder.decode(headers["lines"] or b"")
        version = int(headers["event_version"] or b"")
        rematch = int(headers.get("rematch") or 0)
    except (KeyError, ValueError, msgspec.DecodeError) as wrong:
        raise ValueError(f"a classified record with wrong headers: {wrong}") from None
    posts = value.split(b"\n")
    if len(posts) != len(lines):
        raise ValueError(f"a classified record with {len(posts)} posts and headers for {len(lines)}")
    return ClassifiedRecord(key.decode("utf-8", "replace"), version, lines, posts, rematch)
