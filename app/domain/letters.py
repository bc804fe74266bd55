"""Dead letters: what could not be handled and why, and what of it can go back to `raw_tweets`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from app.domain.records import Headers

MOST_AT_ONCE = 500  # replayed by one wish
_MOST_KIND = 120
_NUMBER = re.compile(r"\d[\d,.]*")


class Letter(Struct, frozen=True, kw_only=True):
    """A dead letter without its bytes. Times are milliseconds since 1970."""

    id: str
    reason: str
    topic: str  # where it stood, or `cassandra/CODE`, `tracker/raw_tweets`
    partition: int  # of the letter itself
    offset: int
    at: int
    size: int  # bytes
    source: str = ""
    origin: str = ""
    received_at: int | None = None
    as_of: int | None = None  # it belongs to the events as they were then, where that is not when it was received
    event: str = ""  # code of the only event that it can belong to; else to any

    @property
    def kind(self) -> str:
        """The reason without what differs from letter to letter."""
        return _NUMBER.sub("N", self.reason.partition(":")[0])[:_MOST_KIND].strip() or "unknown"


class Replayed(Struct, frozen=True):
    """That a letter was sent to `raw_tweets` once more."""

    at: int
    who: str


class Outcome(Struct, frozen=True):
    """What a wish to replay has done: ids that were sent, had been before, and cannot be, each with the reason."""

    sent: list[str] = []
    before: list[str] = []
    refused: dict[str, str] = {}


def letter(
    key: bytes | None, size: int, headers: Mapping[str, bytes | None], partition: int, offset: int, at: int
) -> Letter:
    """A letter from its Kafka parts; something else than Starling may have written it."""

    def text(name: str) -> str:
        return (headers.get(name) or b"").decode("utf-8", "replace")

    def moment(name: str) -> int | None:
        said = text(name)
        return int(said) if said.isascii() and said.isdigit() and len(said) < 16 else None

    return Letter(
        id=(key or b"").decode("utf-8", "replace") or f"dead_letters:{partition}:{offset}:0",
        reason=text("reason") or "unknown",
        topic=text("topic") or "unknown",
        partition=partition,
        offset=offset,
        at=at,
        size=size,
        source=text("source"),
        origin=text("origin"),
        received_at=moment("received_at"),
        as_of=moment("as_of"),
        event=text("event"),
    )


def replayed(value: bytes) -> Replayed:
    """A record of `replayed_letters`. Raises msgspec.DecodeError."""
    return msgspec.json.decode(value, type=Replayed)


def cannot_replay(one: Letter, prefix: str = "") -> str | None:
    """Why a letter cannot be sent to `raw_tweets`; None if it can. `prefix` stands before the names of topics."""
    if one.topic.startswith("tracker/"):
        return "only the beginning of the line was kept"
    if one.topic in (f"{prefix}raw_tweets", f"{prefix}classified_tweets") or one.topic.startswith("cassandra/"):
        return None
    return "it is no post"


def headers(one: Letter) -> Headers:
    """Headers of the raw record that holds a letter's bytes once more: it is heard as it was then, by whom it was."""
    told = {
        "source": one.source,
        "origin": one.origin or "replay",
        "received_at": str(one.at if one.received_at is None else one.received_at),
        "as_of": "" if one.as_of is None else str(one.as_of),
        "event": one.event,
        "letter": one.id,
    }
    return [(name, value.encode()) for name, value in told.items() if value]


def kinds(letters: Iterable[Letter]) -> list[tuple[str, int]]:
    """The kinds of reasons, each with its number, the commonest first."""
    return sorted(Counter(one.kind for one in letters).items(), key=lambda item: (-item[1], item[0]))
