"""Bluesky, by a Jetstream server: all public posts, deletions and account changes, without an account.

All posts come, so there is nothing to ask the server for when keywords change. A break is made good by a cursor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from time import monotonic, time

import aiohttp
import msgspec
from yarl import URL

from app.domain.events import Event
from app.domain.matcher import Matcher
from app.domain.past import NEAR_MS, PAUSE_SECONDS
from app.domain.posts import Control, Malformed, read
from app.domain.records import Origin
from app.settings import Settings
from app.sources import frames, jetstream, zstd
from app.sources.frames import Frames, Refused
from app.sources.reaching import why
from app.sources.source import Asking, Broken, Fact, Found, Opened, Place, Query, Resume, Selection, Sure, Trouble

_PART_BYTES = 256 * 1024  # of posts found that are handed over at once
_PART_SECONDS = 2.0  # after so long, what there is
_ANOTHERS = "the cursor is another server's"
# Seconds in which nothing has come of a past that is to come, though the connection lives: all posts of a network come
# here, which is never silent for so long.
_STALLED = 60.0
_FIRST = 5.0  # seconds to wait for the first frame, which says whether the past was there; a busy stream needs none


class Bluesky:
    """The live source "bluesky"."""

    name = "bluesky"
    silent_seconds = 25.0  # after 10 s of silence a ping is sent, and answered within 5 s
    again_seconds = 900.0
    selective = False
    finds: Origin = "rematch"
    reach_ms = None

    def __init__(self, settings: Settings, matcher_of: Callable[[], Matcher] | None = None) -> None:
        """`matcher_of` gives the matcher in force; with `bluesky_filter`, what it does not match is left out."""
        self._wire: jetstream.Wire = settings.bluesky_wire
        self.form = f"jetstream-{self._wire}"
        self.left_out = 0  # posts that no event matches, since the start
        self._url = settings.bluesky_url
        self._zstd = settings.bluesky_zstd and self._wire == "v2"
        self._protocols = (jetstream.SUBPROTOCOL,) if self._wire == "v2" else ()
        self._matcher_of = matcher_of if settings.bluesky_filter else None
        self.filtered = self._matcher_of is not None
        self._replay_rate = settings.rematch_rate
        self._fact = jetstream.fact_v1 if self._wire == "v1" else jetstream.fact_v2

    async def select(self, events: Sequence[Event], sure: Sure) -> Selection:
        """All posts come in any case."""
        return Selection({event.code: event.version for event in events})

    async def listen(self, resume: Resume) -> AsyncGenerator[Opened | list[bytes] | Fact, None]:
        """As `Source.listen`."""
        async with aiohttp.ClientSession(
            middlewares=(frames.tell_refusals,), headers={"User-Agent": "starling"}
        ) as session:
            connection, opened, first, cursor = await self._open(session, resume)
            try:
                yield opened
                behind = _Behind(self._fact, opened, first)
                lines = first or await connection.take()
                while True:
                    if behind.take(lines):
                        since_ms, gap = self._since(cursor, resume, behind.lines)
                        if gap:  # it is told late
                            yield Opened(since_ms, gap, opened.server, dated=True)
                    kept = self._kept(lines)
                    if kept or not lines:
                        yield kept
                    if len(kept) < len(lines):
                        last = self._fact(lines[-1])
                        yield Fact(cursor=last.cursor, seen_ms=last.seen_ms)
                    lines = await connection.take()
            finally:
                await connection.close()

    def asking(self, events: Sequence[Event]) -> Asking:
        """All posts come; those of these events are kept."""
        return Asking(events, [Query("", tuple(event.code for event in events))])

    async def search(self, asking: Asking, since_ms: int, until_ms: int, place: Place) -> AsyncGenerator[Found, None]:
        """What the server saw in that time, replayed by a connection of its own, at most so many posts a second.

        The page of a place is a cursor, the time up to which it has come, and whose cursor it is. Raises Broken.
        """
        if place.query:
            return
        matcher = Matcher(asking.events)
        async with aiohttp.ClientSession(
            middlewares=(frames.tell_refusals,), headers={"User-Agent": "starling"}
        ) as session:
            resume = _place(place.page, since_ms)
            connection, opened, first, cursor = await self._open(session, resume)

            def whole(told: int | None) -> int:
                """From when on all is found, where the server goes on from there; before it, all was found already."""
                return since_ms if told is None or told == resume.heard_ms else told

            begins = whole(opened.since_ms)
            behind = _Behind(self._fact, opened, first)
            replay = _Replay(since_ms, until_ms, matcher, self._fact, opened.server)
            try:
                lines = first or await connection.take()
                while not replay.take(lines):
                    if behind.take(lines):
                        begins = whole(self._since(cursor, resume, behind.lines)[0])
                    if replay.due:
                        yield replay.found(begins)
                    await replay.pace(self._replay_rate)
                    lines = await connection.take()
                yield replay.found(begins)
            finally:
                await connection.close()

    def fact(self, line: bytes) -> Fact:
        """As `Source.fact`."""
        return self._fact(line)

    async def release(self) -> None:
        """Connections here are in nobody's way."""

    async def close(self) -> None:
        """Nothing is held between connections."""

    async def _open(
        self, session: aiohttp.ClientSession, resume: Resume
    ) -> tuple[Frames, Opened, list[bytes], int | None]:
        """Connect where the last line was or, where the server does not know that place, at its time."""
        base = _base(self._url)
        server = f"{base.host}:{base.port}" if self._wire == "v2" else ""  # the older wire's cursors are times
        cursor = jetstream.cursor_of(resume, self._wire)
        # Another server may know the number by chance, for another time.
        lost = _ANOTHERS if resume.server not in ("", server) else ""
        try:
            if not lost:
                connection, plain = await self._connect(session, cursor)
                first = await _first(connection, cursor)
                if _notice(first) == "FutureCursor":
                    lost = _ANOTHERS
                    await connection.close()
        except Refused as refused:
            if _name(refused) != "CursorTooOld":
                raise
            lost = "the cursor is too old for the server"
        if lost:
            cursor = jetstream.cursor_at(resume.heard_ms)
            lost += "; resumed by time" if cursor is not None else "; what was before is missing"
            connection, plain = await self._connect(session, cursor)
            first = await _first(connection, cursor)
        if _notice(first) == "OutdatedCursor" and len(first) == 1:
            first += await _first(connection, cursor)  # its time is where the server begins
        since_ms, gap = self._since(cursor, resume, first)
        note = "; ".join(note for note in (lost, gap, plain) if note)
        opened = Opened(since_ms, note, server, dated=True)
        return connection, opened, first, cursor

    def _since(self, cursor: int | None, resume: Resume, first: list[bytes]) -> tuple[int | None, str]:
        """From when on everything is heard, and what is to be said of it."""
        if cursor is None:
            return None, ""
        begins = _dated(self._fact, first)
        asked_ms = resume.heard_ms
        if asked_ms is None and self._wire == "v1":
            asked_ms = cursor // 1000
        late = asked_ms is not None and jetstream.begins_late(begins, asked_ms)
        if late or (begins is not None and _notice(first) == "OutdatedCursor"):
            return begins, "the server no longer has all that came before"
        return asked_ms, ""

    async def _connect(self, session: aiohttp.ClientSession, cursor: int | None) -> tuple[Frames, str]:
        """Open the stream, compressed if wished for and possible, and what is to be said of that."""
        base = _base(self._url)
        plain = jetstream.stream_url(base, self._wire, cursor)
        if not self._zstd:
            return await frames.connect(session, plain, self._protocols, None), ""
        try:
            dictionary = await zstd.fetch(session, jetstream.dictionary_url(base))
        except (Refused, aiohttp.ClientError, TimeoutError, ValueError) as error:
            note = f"not compressed: no dictionary of {base.host} ({why(error)})"
            return await frames.connect(session, plain, self._protocols, None), note
        try:
            url = jetstream.stream_url(base, self._wire, cursor, dictionary.id)
            return await frames.connect(session, url, self._protocols, dictionary.decode), ""
        except Refused as refused:
            if _name(refused) != "UnknownZstdDictionary":
                raise
        note = "not compressed: the server has another dictionary by now"
        return await frames.connect(session, plain, self._protocols, None), note

    def _kept(self, lines: list[bytes]) -> list[bytes]:
        lines = [_whole(line) for line in lines]
        if self._matcher_of is None:
            return lines
        matcher = self._matcher_of()
        kept = [line for line in lines if _concerns(line, matcher, control=True)]
        self.left_out += len(lines) - len(kept)
        return kept


def _place(page: str, since_ms: int) -> Resume:
    """Where a search goes on; what an earlier version wrote is a cursor alone."""
    cursor, _, rest = page.partition(" ")
    reached, _, server = rest.partition(" ")
    return Resume(int(cursor) if cursor else None, int(reached) if reached else since_ms, server)


async def _first(connection: Frames, cursor: int | None) -> list[bytes]:
    """The first frames after a cursor: one about the cursor itself comes before all others."""
    try:
        async with asyncio.timeout(_FIRST):
            taken: list[bytes] = []
            while cursor is not None and not taken:
                taken = await connection.take()
            return taken
    except TimeoutError:
        return []


def _notice(first: list[bytes]) -> str:
    return jetstream.notice(first[0]) if first else ""


def _dated(fact: Callable[[bytes], Fact], lines: list[bytes]) -> int | None:
    """When the server saw the first line that tells it."""
    return next((at for line in lines if (at := fact(line).seen_ms) is not None), None)


def _name(refused: Refused) -> str:
    """The name of an error, as Jetstream and all of atproto tell it."""
    try:
        return msgspec.json.decode(refused.body, type=_Error).error
    except msgspec.DecodeError:
        return ""


class _Error(msgspec.Struct):
    error: str


def _whole(line: bytes) -> bytes:
    """A raw line break in JSON is a blank between two of its parts; lines of ours must hold none."""
    return line.replace(b"\n", b" ") if b"\n" in line else line


def _concerns(line: bytes, matcher: Matcher, *, control: bool) -> bool:
    """Whether an event wants it; what cannot be read concerns all, and `control` says whether what is no post does."""
    try:
        found = read(line)
    except Malformed:
        return True
    return control if isinstance(found, Control) else any(matcher.match(post) for post in found)


def _stalled() -> Broken:
    return Broken(Trouble.STALLED, f"nothing of the past has come for {_STALLED:.0f} s, though the connection lives")


class _Behind:
    """Looks at a connection that claims to go on in the past, until it has come near to now.

    Before the first line that tells its time nobody knows whether the server goes on there, or has anything at all.
    """

    def __init__(self, fact: Callable[[bytes], Fact], opened: Opened, first: list[bytes]) -> None:
        self._fact = fact
        self._behind = opened.since_ms is not None
        self._begun = _dated(fact, first) is not None
        self._line = monotonic()
        self.lines: list[bytes] = []  # one that is about the cursor, and those with the first that tells its time

    def take(self, lines: list[bytes]) -> bool:
        """Look at lines, or a sign of life; whether the first that tells its time is among these, and is late.

        Raises Broken where none has come for long.
        """
        if not self._behind:
            return False
        late = not self._begun
        if late:
            self.lines = [*self.lines[:1], *lines]
        seen = _dated(self._fact, lines if late else lines[-1:])
        if seen is None:
            if monotonic() - self._line >= _STALLED:
                raise _stalled()
            return False
        self._begun, self._line = True, monotonic()
        self._behind = time() * 1000 - seen >= NEAR_MS
        return late


class _Replay:
    """What is kept of a replay, and how far it is."""

    def __init__(
        self, since_ms: int, until_ms: int, matcher: Matcher, fact: Callable[[bytes], Fact], server: str
    ) -> None:
        self._since_ms = since_ms
        self._until_ms = until_ms
        self._matcher = matcher
        self._fact = fact
        self._server = server
        self._kept: list[bytes] = []
        self._size = 0
        self._cursor: int | None = None
        self._reached = since_ms
        self._through = False
        self._dated = False  # a line has told its time
        self._told = self._line = self._paced = monotonic()
        self._read = 0

    def take(self, lines: list[bytes]) -> bool:
        """Take lines, or a sign of life; whether that was all. Raises Broken."""
        now = monotonic()
        if not lines:
            # What is past comes without a pause, and by our clock there is no more to wait for.
            over = now - self._line >= PAUSE_SECONDS and time() * 1000 >= self._until_ms
            self._through = over and self._dated and self._until_ms - self._reached < NEAR_MS
            if not self._through and now - self._line >= _STALLED:
                raise _stalled()
            return self._through
        self._line = now
        self._read += len(lines)
        for line in lines:
            fact = self._fact(line)
            if fact.ends is not None:
                raise Broken(fact.trouble, fact.ends)
            if fact.seen_ms is not None and fact.seen_ms >= self._until_ms:
                self._through = True
                return True
            self._cursor = self._cursor if fact.cursor is None else fact.cursor
            if fact.seen_ms is not None:
                self._dated = True
                self._reached = max(self._reached, fact.seen_ms)
                if fact.seen_ms >= self._since_ms and _concerns(line, self._matcher, control=False):
                    self._kept.append(_whole(line))
                    self._size += len(line)
        return False

    @property
    def due(self) -> bool:
        """Whether there is enough to hand over, or it was long ago."""
        if self._cursor is None:
            return False
        return self._size >= _PART_BYTES or monotonic() - self._told >= _PART_SECONDS

    def found(self, begins: int) -> Found:
        """What was kept since the last time."""
        kept, self._kept, self._size = self._kept, [], 0
        self._told = monotonic()
        then = Place(1) if self._through else Place(0, f"{self._cursor} {self._reached} {self._server}")
        return Found(b"\n".join(kept), then, begins, self._until_ms if self._through else self._reached)

    async def pace(self, rate: float) -> None:
        """Let the time pass that the lines since the last call may take: what is heard live goes first."""
        read, self._read = self._read, 0
        await asyncio.sleep(max(0.0, read / rate - (monotonic() - self._paced)))
        self._paced = monotonic()


def _base(address: str) -> URL:
    try:
        url = URL(address)
    except ValueError:
        url = URL()
    if url.scheme not in ("ws", "wss", "http", "https") or not url.host:
        raise Broken(Trouble.DENIED, "STARLING_BLUESKY_URL is no address of a Jetstream server, such as wss://host")
    return url
