"""Bluesky, by a Jetstream server: all public posts, deletions and account changes, without an account.

All posts come, so there is nothing to ask the server for when keywords change. A break is made good by a cursor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

import aiohttp
import msgspec
from yarl import URL

from app.domain.events import Event
from app.domain.matcher import Matcher
from app.domain.posts import Control, Malformed, read
from app.settings import Settings
from app.sources import frames, jetstream, zstd
from app.sources.frames import Frames, Refused
from app.sources.reaching import why
from app.sources.source import Broken, Fact, Opened, Resume, Selection, Trouble

_FIRST = 5.0  # seconds to wait for the first frame, which says whether the past was there; a busy stream needs none


class Bluesky:
    """The live source "bluesky"."""

    name = "bluesky"
    silent_seconds = 25.0  # after 10 s of silence a ping is sent, and answered within 5 s
    selective = False

    def __init__(self, settings: Settings, matcher_of: Callable[[], Matcher] | None = None) -> None:
        """`matcher_of` gives the matcher in force; with `bluesky_filter`, what it does not match is left out."""
        self._wire: jetstream.Wire = settings.bluesky_wire
        self.form = f"jetstream-{self._wire}"
        self.left_out = 0  # posts that no event matches, since the start
        self._url = settings.bluesky_url
        self._zstd = settings.bluesky_zstd and self._wire == "v2"
        self._protocols = (jetstream.SUBPROTOCOL,) if self._wire == "v2" else ()
        self._matcher_of = matcher_of if settings.bluesky_filter else None
        self._fact = jetstream.fact_v1 if self._wire == "v1" else jetstream.fact_v2

    async def select(self, events: Sequence[Event]) -> Selection:
        """All posts come in any case."""
        return Selection({event.code: event.version for event in events})

    async def listen(self, resume: Resume) -> AsyncGenerator[Opened | list[bytes] | Fact, None]:
        """As `Source.listen`."""
        async with aiohttp.ClientSession(
            middlewares=(frames.tell_refusals,), headers={"User-Agent": "starling"}
        ) as session:
            connection, opened, first = await self._open(session, resume)
            try:
                yield opened
                lines = first or await connection.take()
                while True:
                    kept = self._kept(lines)
                    if kept or not lines:
                        yield kept
                    if len(kept) < len(lines):
                        last = self._fact(lines[-1])
                        yield Fact(cursor=last.cursor, seen_ms=last.seen_ms)
                    lines = await connection.take()
            finally:
                await connection.close()

    def fact(self, line: bytes) -> Fact:
        """As `Source.fact`."""
        return self._fact(line)

    async def release(self) -> None:
        """Connections here are in nobody's way."""

    async def close(self) -> None:
        """Nothing is held between connections."""

    async def _open(self, session: aiohttp.ClientSession, resume: Resume) -> tuple[Frames, Opened, list[bytes]]:
        """Connect where the last line was or, where the server does not know that place, at its time."""
        cursor = jetstream.cursor_of(resume, self._wire)
        lost = ""
        try:
            connection, plain = await self._connect(session, cursor)
            first = await _first(connection, cursor)
            if _notice(first) == "FutureCursor":
                lost = "the cursor is another server's"
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
        return connection, Opened(since_ms, "; ".join(note for note in (lost, gap, plain) if note)), first

    def _since(self, cursor: int | None, resume: Resume, first: list[bytes]) -> tuple[int | None, str]:
        """From when on everything is heard, and what is to be said of it."""
        if cursor is None:
            return None, ""
        outdated = _notice(first) == "OutdatedCursor"
        if outdated or (self._wire == "v1" and first and jetstream.begins_late(first[0], cursor)):
            begins = next((at for line in first if (at := self._fact(line).seen_ms) is not None), None)
            return begins, "the server no longer has all that came before"
        if resume.heard_ms is None and self._wire == "v1":
            return cursor // 1000, ""
        return resume.heard_ms, ""

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
        # A raw line break in JSON is a blank between two of its parts; lines of ours must hold none.
        lines = [line.replace(b"\n", b" ") if b"\n" in line else line for line in lines]
        if self._matcher_of is None:
            return lines
        matcher = self._matcher_of()
        kept = [line for line in lines if _concerns(line, matcher)]
        self.left_out += len(lines) - len(kept)
        return kept


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


def _name(refused: Refused) -> str:
    """The name of an error, as Jetstream and all of atproto tell it."""
    try:
        return msgspec.json.decode(refused.body, type=_Error).error
    except msgspec.DecodeError:
        return ""


class _Error(msgspec.Struct):
    error: str


def _concerns(line: bytes, matcher: Matcher) -> bool:
    """Whether an event wants it; what is no post concerns all."""
    try:
        found = read(line)
    except Malformed:
        return True
    return isinstance(found, Control) or any(matcher.match(post) for post in found)


def _base(address: str) -> URL:
    try:
        url = URL(address)
    except ValueError:
        url = URL()
    if url.scheme not in ("ws", "wss", "http", "https") or not url.host:
        raise Broken(Trouble.DENIED, "STARLING_BLUESKY_URL is no address of a Jetstream server, such as wss://host")
    return url
