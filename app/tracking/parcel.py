"""What the tracker sends to Kafka, in memory and on disk."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from app.domain.records import Headers


class Parcel(Struct, frozen=True, array_like=True):
    """A record on its way. `topic` is a short name; without a key the partition is chosen in turn."""

    topic: str
    value: bytes
    headers: Headers
    key: bytes | None = None
    source: str = ""  # of posts: whose
    heard_ms: int = 0  # of posts: when the first line came
    posts: int = 0
    cursor: int | None = None  # of posts: where to resume after them
    lines: int = 0  # of posts: with what are none
    connection: str = ""  # of posts: by which they came, as in the headers
    seen_ms: int | None = None  # of posts: when the source saw the last of them, where it says so
    passing: bool = False  # it says how something is now: the newest of its key is enough
    tagged: dict[str, int] = {}  # of posts: how many by event, where the source says so

    @property
    def size(self) -> int:
        """About its bytes."""
        return len(self.value) + 200


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Parcel).decode
