"""Takes the lines of a connection: drops what came before, packs the rest into records of `raw_tweets`.

This is the part that pays for every post: what a line costs here is measured by `make bench`.
"""

from __future__ import annotations

import asyncio
from time import monotonic

from app.domain.backoff import Trouble
from app.domain.lately import Lately
from app.domain.records import Origin, raw_headers
from app.metrics import POSTS_HEARD, POSTS_TWICE
from app.settings import Settings
from app.sources.source import Broken, Fact, Source
from app.topics import RAW
from app.tracking.ledger import Ledger, now_ms
from app.tracking.outbox import Outbox
from app.tracking.parcel import Parcel
from app.tracking.recent import Recent
from app.tracking.spool import SpoolFull

RECORD_BYTES = 1024 * 1024
_SETTLE_SECONDS = 2.0
_SETTLE_LOOK = 0.02


class Taker:
    """For one source."""

    def __init__(self, settings: Settings, source: Source, ledger: Ledger, outbox: Outbox, recent: Recent) -> None:
        self._source = source
        self._ledger = ledger
        self._outbox = outbox
        self._recent = recent
        self._most = settings.record_posts
        self._linger = settings.record_linger
        self._connection = ""
        self._generation = 0
        self._withheld = 0
        self._lines: list[bytes] = []
        self._size = 0
        self._since = 0
        self._posts = 0
        self._tagged: dict[str, int] = {}
        self._due: asyncio.TimerHandle | None = None
        self._heard = POSTS_HEARD.labels(source.name)
        self._twice = POSTS_TWICE.labels(source.name)
        self.cursor: int | None = None  # of the last line taken
        self._seen_ms: int | None = None  # when the source saw it
        self._ends: Broken | None = None  # what a line has said that ends the connection
        self.lately = Lately()

    def connected(self, connection: str, generation: int) -> None:
        """What comes now comes by this connection."""
        self._connection = connection
        self._generation = generation
        self._withheld = 0
        self._seen_ms = None
        self._ends = None

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest post came that is neither in Kafka nor on disk."""
        oldest = self._outbox.oldest_ms
        return oldest if oldest is not None else (self._since if self._lines else None)

    @property
    def unread(self) -> str | None:
        """Why nothing of what was kept on disk is sent, where that is so."""
        return self._outbox.unread

    async def room(self) -> None:
        """Return when more can be taken. Raises Broken where that may take long: Kafka and the disk take nothing."""
        try:
            await self._outbox.room()
        except SpoolFull as full:
            # The trouble is here, and its end is not to be slept through: to look costs the source nothing.
            raise Broken(Trouble.NETWORK, str(full)) from None

    async def settle(self) -> None:
        """Return when everything taken is kept, or after a while; where Kafka is away, it goes to the disk."""
        self.flush()
        deadline = monotonic() + _SETTLE_SECONDS
        while self._outbox.oldest_ms is not None and monotonic() < deadline:  # noqa: ASYNC110 -- bounded
            await asyncio.sleep(_SETTLE_LOOK)

    def sign(self) -> int:
        """A sign of life came, and no posts."""
        self._ledger.sign(now_ms())
        return 0

    def passed(self, fact: Fact) -> int:
        """So far has the source come, with lines that were left out, and no posts."""
        self._follow(fact)
        self._ledger.passed(0, self.cursor, self._seen_ms)
        return self.sign()

    def take(self, lines: list[bytes]) -> int:
        """Take lines; returns how many posts they hold, those too that came before. Then ask `check_end`."""
        now = now_ms()
        posts = twice = packed = 0
        fact_of, repeats = self._source.fact, self._recent.repeats
        for line in lines:
            fact = fact_of(line)
            self._follow(fact)
            if fact.key is not None:
                posts += 1
                if repeats(fact.key):
                    twice += 1
                    continue
                self._posts += 1
                for tag in fact.tags:
                    self._tagged[tag] = self._tagged.get(tag, 0) + 1
            elif fact.withheld is not None:
                self._note_withheld(fact.withheld)
            elif fact.ends is not None:
                self._ends = Broken(fact.trouble, fact.ends)
            self._pack(line, now)
            packed += 1
        self._ledger.heard(posts, twice, now)
        self._ledger.passed(packed, self.cursor, self._seen_ms)
        self._heard.inc(posts)
        if twice:
            self._twice.inc(twice)
        return posts

    def check_end(self) -> None:
        """Raise Broken where a line that was taken said that the source ends the connection."""
        ends, self._ends = self._ends, None
        if ends is not None:
            raise ends

    def _follow(self, fact: Fact) -> None:
        if fact.cursor is not None:
            self.cursor = fact.cursor
        if fact.seen_ms is not None:
            self._seen_ms = fact.seen_ms

    def _note_withheld(self, total: int) -> None:
        """Notices count from the start of the connection."""
        self._ledger.withheld(total - self._withheld if total >= self._withheld else total)
        self._withheld = total

    def _pack(self, line: bytes, now: int) -> None:
        if not self._lines:
            self._since = now
            self._due = asyncio.get_running_loop().call_later(self._linger, self.flush)
        self._lines.append(line)
        self._size += len(line)
        if len(self._lines) >= self._most or self._size >= RECORD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what is at hand."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._lines:
            self._outbox.put(self._parcel(self._lines, self._posts, self._since, "live", self.cursor))
            self._lines, self._size, self._posts, self._tagged = [], 0, 0, {}

    def _parcel(self, lines: list[bytes], posts: int, heard_ms: int, origin: Origin, cursor: int | None) -> Parcel:
        made = parcel_of(
            self._source,
            lines,
            heard_ms,
            origin,
            self._connection,
            posts=posts,
            cursor=cursor,
            seen_ms=self._seen_ms,
            tagged=self._tagged,
        )
        made.headers.append(("generation", str(self._generation).encode()))
        if self._source.filtered:
            made.headers.append(("filtered", b"1"))
        if self.lately.text:
            made.headers.append(("lately", self.lately.text.encode()))
        return made


def parcel_of(
    source: Source,
    lines: list[bytes],
    heard_ms: int,
    origin: Origin,
    connection: str,
    *,
    as_of: int | None = None,
    event: str = "",
    posts: int = 0,
    cursor: int | None = None,
    seen_ms: int | None = None,
    tagged: dict[str, int] | None = None,
) -> Parcel:
    """Lines as a record of `raw_tweets`."""
    headers = raw_headers(source.name, source.form, heard_ms, origin, connection, as_of, event)
    value = b"\n".join(lines)
    return Parcel(
        RAW.name,
        value,
        headers,
        None,
        source.name,
        heard_ms,
        posts,
        cursor,
        len(lines),
        connection,
        seen_ms,
        tagged=tagged or {},
    )
