"""What was planted and sent, so far: the side of the comparison that nobody else has written."""

from __future__ import annotations

from collections import Counter
from zlib import crc32

from msgspec import Struct, field

from app.generator import Expected, Planted
from app.generator.expected import COLUMN_NAMES

_LANGUAGE, _CREATED = COLUMN_NAMES.index("t_lang"), COLUMN_NAMES.index("t_created_at")
_HOUR_MS = 3_600_000


class Due(Struct, frozen=True):
    """A row that must stand in Cassandra."""

    post: Expected
    received_at: int  # milliseconds since 1970
    checksum: int | None  # of its raw JSON; None where the line is not the post alone


class Counts(Struct):
    """What must have been counted of one event. A post that was sent twice counts twice."""

    posts: int = 0
    keywords: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    hours: Counter[int] = field(default_factory=Counter)


class Ledger:
    """All lines that were sent."""

    def __init__(self, codes: tuple[str, ...]) -> None:
        self.rows: dict[tuple[str, str], Due] = {}  # by event and post; of a post sent twice the second
        self.malformed: Counter[bytes] = Counter()
        self.control: Counter[str] = Counter()
        self.counts = {code: Counts() for code in codes}
        self.lines = 0
        self.posts = 0
        self.matched = 0

    @property
    def pairs(self) -> int:
        """Posts by event, as often as they were sent."""
        return sum(counts.posts for counts in self.counts.values())

    def note(self, planted: Planted, received_at: int) -> None:
        """A line was sent in a record with this time."""
        self.lines += 1
        if planted.kind == "malformed":
            self.malformed[planted.line] += 1
        elif planted.kind == "control":
            self.control[planted.control] += 1
        checksum = None if planted.listed else crc32(planted.line)
        for post in planted.posts:
            self.posts += 1
            self.matched += bool(post.events)
            for code, matched in post.events.items():
                self.rows[code, post.id] = Due(post, received_at, checksum)
                counts = self.counts[code]
                counts.posts += 1
                counts.keywords.update(matched.keys())
                counts.languages[post.values[_LANGUAGE] or ""] += 1
                counts.hours[post.values[_CREATED] // _HOUR_MS] += 1
