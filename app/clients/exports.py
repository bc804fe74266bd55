"""The entries of the topic `exports`."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from app.domain.exports import Asked, Progress, progress_key

Entry: TypeAlias = Asked | Progress
decode_entry = msgspec.json.Decoder(Entry).decode


def key_of(entry: Entry) -> bytes:
    """Key of an entry; the two of an export may lie on different partitions, as nothing depends on their order."""
    return (progress_key(entry.id) if isinstance(entry, Progress) else entry.id).encode()
