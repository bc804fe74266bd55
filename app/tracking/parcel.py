"""What the tracker sends to Kafka, in memory and on disk."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from app.domain.records import Headers


class Parcel(Struct, frozen=True, array_like=True):
    """A record on its way. `topic` is a short name; without a key the partition is chosen in turn."""

    topic: str
    value: bytes
    headers: list[tuple[str, bytes]]
    key: bytes | None = None
    source: str = ""  # of posts: whose
    heard_ms: int = 0  # of posts: when the first line came
    posts: int = 0
    cursor: int | None = None  # of posts: where to resume after them

    @property
    def size(self) -> int:
        """About its bytes."""
        return len(self.value) + 200

    @property
    def record_headers(self) -> Headers:
        """Headers as Kafka takes them."""
        return [(name, value) for name, value in self.headers]


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Parcel).decode
