"""What becomes of a parcel that Kafka refuses for its size: its lines go one by one, and a line too large is buried.

A broker's limit may be lower than what the topic was to have, and it judges whole batches: what is refused may have
stood beside something large. So a parcel is split, or buried, only where it was refused alone.
"""

from __future__ import annotations

import logging
from zlib import crc32

import msgspec
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from app.domain.records import DeadLetter
from app.metrics import DEAD_LETTERS as DEAD_LETTERS_SENT
from app.topics import DEAD_LETTERS
from app.tracking.parcel import Parcel

log = logging.getLogger(__name__)

# A letter has to be taken where the line was not.
BEGINNING_BYTES = 4 * 1024


def is_for_size(error: BaseException) -> bool:
    """Whether sending the same again would be refused again."""
    return isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError)


def smaller(parcel: Parcel) -> list[Parcel]:
    """What is sent in place of a parcel that was refused alone, in its order: its lines, or the dead letter of one."""
    lines = parcel.value.split(b"\n")
    if len(lines) > 1:
        return [msgspec.structs.replace(parcel, value=line, posts=0, lines=1) for line in lines]
    return [_letter(parcel)]


def _letter(parcel: Parcel) -> Parcel:
    """The letter of a line that never came to stand in a topic: its place is when it was heard, and its checksum."""
    size = len(parcel.value)
    log.error("a line is too large for Kafka and goes to dead_letters", extra={"topic": parcel.topic, "bytes": size})
    letter = DeadLetter(
        f"tracker/{parcel.topic}",
        0,
        parcel.heard_ms,
        crc32(parcel.value),
        f"Kafka takes no record of {size:,} bytes; this is its beginning",
        parcel.value[:BEGINNING_BYTES],
        cause="too large",
    )
    DEAD_LETTERS_SENT.labels(letter.cause).inc()
    headers = [*letter.headers(), ("size", str(size).encode()), *parcel.headers]
    return Parcel(DEAD_LETTERS.name, letter.value, headers, letter.id.encode())
