"""Standing queries of a process: one reader of the raw topic for all of them, while there is one.

What a query's owner does not take in time is dropped, the oldest first, and counted. A reader that falls behind goes on
with what comes now: these are for people who watch, and what is stored is classified elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from aiokafka.errors import KafkaError
from msgspec import Struct

from app.clients.following import Following, following
from app.domain.backoff import Backoff, Trouble
from app.domain.events import Event
from app.domain.shown import Shown
from app.domain.standing_query import Found, Sieve
from app.errors import Unavailable
from app.settings import Settings

log = logging.getLogger(__name__)

MOST = 64  # in a process
MOST_OF_ONE = 4  # of a person
MOST_WAITING = 200  # posts of a query that nobody has taken yet
MOST_BEHIND = 2_000  # records, up to 128,000 posts
_SLICE = 8  # records that are sifted at once
_LOOK_SECONDS = 5.0
_LINGER_SECONDS = 15.0  # a page that is loaded again finds the reader at work


class TooMany(Exception):
    """There are as many standing queries as there may be; the message says whose."""


class Taken(Struct, frozen=True):
    """What came since the last look."""

    posts: list[Shown]
    missed: int  # posts that matched and were dropped, as nobody took them in time
    stream: int  # posts that came on the whole stream
    skipped: int  # records of the stream that were passed over, as there were too many
    trouble: str  # why nothing comes; empty where that is not known


class Standing:
    """One query."""

    def __init__(self) -> None:
        self._posts: deque[Shown] = deque(maxlen=MOST_WAITING)
        self._missed = self._stream = self._skipped = 0
        self._arrived = asyncio.Event()
        self.trouble = ""

    def arrive(self, posts: list[Shown], stream: int) -> None:
        """Posts for it, among so many."""
        self._missed += max(0, len(self._posts) + len(posts) - MOST_WAITING)
        self._posts += posts
        self._stream += stream
        if posts:
            self._arrived.set()

    def skip(self, records: int) -> None:
        """So many records were passed over."""
        self._skipped += records

    async def take(self, most: int, seconds: float) -> Taken:
        """The next posts; none where none has come after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        posts = [self._posts.popleft() for _ in range(min(most, len(self._posts)))]
        if not self._posts:
            self._arrived.clear()
        taken = Taken(posts, self._missed, self._stream, self._skipped, self.trouble)
        self._missed = self._stream = self._skipped = 0
        return taken


class StandingQueries:
    """Of a process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._queries: dict[str, tuple[Event, Standing]] = {}
        self._owners: Counter[str] = Counter()
        self._sieve = Sieve({})
        self._task: asyncio.Task[None] | None = None
        self._trouble = ""  # what keeps posts from coming; empty while all is well

    @asynccontextmanager
    async def open(self, owner: str, event: Event) -> AsyncIterator[Standing]:
        """A standing query of somebody, of what the event selects. Raises TooMany."""
        if len(self._queries) >= MOST:
            raise TooMany(f"there are {MOST} standing queries already")
        if self._owners[owner] >= MOST_OF_ONE:
            raise TooMany(f"{owner} has {MOST_OF_ONE} standing queries already")
        name, standing = uuid4().hex, Standing()
        standing.trouble = self._trouble
        self._owners[owner] += 1
        self._queries[name] = event, standing
        self._changed()
        try:
            yield standing
        finally:
            del self._queries[name]
            self._owners[owner] -= 1
            if not self._owners[owner]:
                del self._owners[owner]
            self._changed()

    def _changed(self) -> None:
        self._sieve = Sieve({name: event for name, (event, _) in self._queries.items()})
        if self._queries and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End the reader."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        """Read while anybody asks, and a little longer."""
        backoff = Backoff()
        while self._queries:
            try:
                async with following(self._settings) as source:
                    self._tell("")
                    backoff = Backoff()
                    await self._read(source)
            except Unavailable as away:
                self._tell(str(away))
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("standing queries wait for Kafka", extra={"why": repr(error)})
                self._tell("Kafka does not answer")
            else:
                continue
            await asyncio.sleep(backoff.after(Trouble.NETWORK))

    async def _read(self, source: Following) -> None:
        """Until nobody has asked for a while. Raises KafkaError, TimeoutError."""
        clock = asyncio.get_running_loop().time
        looked = used = clock()
        while True:
            records = await source.take()
            for start in range(0, len(records), _SLICE):
                found = await asyncio.to_thread(self._sieve.sift, records[start : start + _SLICE])
                self._hand_out(found)
            now = clock()
            if self._queries:
                used = now
            elif now - used >= _LINGER_SECONDS:
                return
            if now - looked >= _LOOK_SECONDS:
                looked = now
                if not records and not await source.answers():
                    raise TimeoutError
                if (behind := await source.behind()) > MOST_BEHIND:
                    await source.skip()
                    for _, standing in self._queries.values():
                        standing.skip(behind)

    def _hand_out(self, found: Found) -> None:
        for name, (_, standing) in self._queries.items():
            standing.arrive(found.wanted.get(name, []), found.posts)

    def _tell(self, trouble: str) -> None:
        self._trouble = trouble
        for _, standing in self._queries.values():
            standing.trouble = trouble
