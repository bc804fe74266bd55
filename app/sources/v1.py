"""The v1.1 `statuses/filter` wire: kept for servers that speak it, and for the simulator.

One form of keywords, accounts and places for the whole connection, so other keywords need another connection: the new
one is opened before the old one is left, and what the old one has sent until then is still read. Where the server takes
no second one, the old one is left first, and the time between is one without a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from app.domain.events import Event
from app.domain.track import Form, form_of
from app.settings import Settings
from app.sources.account import Account
from app.sources.lines import Splitter, ended
from app.sources.source import Broken, Fact, Opened, Resume, Selection, Sure, Trouble, need

_PATH = "1.1/statuses/filter.json"
_REST_SECONDS = 2.0  # of a line that has begun on a connection that is being left
_SERVER = "the v1.1 stream"
# "Streaming message types": 2 is a duplicate stream, 7 a newer one of the same account; 6 a revoked token.
_CROWDED = (2, 7)
_REVOKED = 6


class Limit(Struct, gc=False):
    """A limit notice: posts kept back since the connection began."""

    track: int


class _Disconnect(Struct, gc=False):
    code: int = 0
    reason: str = ""


class _Line(Struct, gc=False):
    """All that is read of a line here."""

    id_str: str | None = None
    limit: Limit | None = None
    disconnect: _Disconnect | None = None


_decode = msgspec.json.Decoder(_Line).decode


class XV1:
    """`statuses/filter` of one account (a `Source`)."""

    name = "x-v1"
    form = "v1"
    silent_seconds = 90.0  # a keep-alive comes every 30 s, and may be missing twice ("Stalls")
    again_seconds = 900.0
    selective = True
    filtered = False

    def __init__(self, settings: Settings) -> None:
        self._url = URL(settings.x_v1_url.rstrip("/")) / _PATH
        token = settings.x_bearer_token
        self._account = Account(token.get_secret_value() if token else None)
        self._form = Form()
        self._current: aiohttp.ClientResponse | None = None  # that `listen` reads
        self._next: aiohttp.ClientResponse | None = None  # that it is to read instead
        self._only_one = False  # the server takes no second one: the current one is to be left
        self._changing = False  # a next one is being made, and the server may end the current one for it
        self._gap = False  # the current one has ended before the next one was made
        self._changed = asyncio.Event()  # it is made, or has failed
        self._lock = asyncio.Lock()

    async def select(self, events: Sequence[Event], sure: Sure) -> Selection:
        """Take the events for the next connection; while it listens, make that connection now."""
        async with self._lock:
            form, refused = form_of(events)
            if form != self._form:
                if self._current is not None and form:
                    need(sure)  # the server would end the connection of whoever has the lease by now
                    await self._change(form)
                self._form = form
            return Selection({event.code: event.version for event in events}, refused)

    async def listen(self, resume: Resume) -> AsyncGenerator[Opened | list[bytes], None]:
        """The stream; Opened again after each change of keywords. It cannot hear the past."""
        async with self._lock:
            current = self._current = await self._open(self._form)
            self._only_one = False
        self._changed.clear()
        self._gap = False
        note = ""
        try:
            while True:
                yield Opened(note=note, gapless=not self._gap)
                self._gap = False
                async with aclosing(self._until_change(current)) as several:
                    async for lines in several:
                        yield lines
                current.close()
                assert self._next is not None  # noqa: S101 -- else `_until_change` raises
                current = self._current = self._next
                self._next = None
                self._changed.clear()
                note = "other keywords"
        finally:
            current.close()
            self._current = None
            if self._next is not None:
                self._next.close()
                self._next = None

    def fact(self, line: bytes) -> Fact:
        """Id of a post, posts withheld so far, or why the connection ends."""
        try:
            read = _decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return Fact()
        if read.id_str is not None:
            return Fact(read.id_str)
        if read.limit is not None:
            return Fact(withheld=read.limit.track)
        if (end := read.disconnect) is not None:
            kinds = dict.fromkeys(_CROWDED, Trouble.CONNECTIONS) | {_REVOKED: Trouble.DENIED}
            trouble = kinds.get(end.code, Trouble.DISCONNECTED)
            newer = "another connection of this account has taken its place; " if end.code in _CROWDED else ""
            return Fact(ends=f"{_SERVER}: {newer}{end.reason or 'disconnect'} (code {end.code})", trouble=trouble)
        return Fact()

    async def release(self) -> None:
        """Nothing: v1.1 has no list of connections, and a new one ends the others of its account."""

    async def close(self) -> None:
        """Close the connections that it holds."""
        await self._account.close()

    async def _open(self, form: Form) -> aiohttp.ClientResponse:
        if not form:
            raise Broken(Trouble.HTTP, f"{_SERVER} has nothing to listen for: no active event has what it takes")
        return await self._account.open_stream("POST", self._url, _SERVER, data=form.fields)

    async def _change(self, form: Form) -> None:
        """Open a connection with the other keywords beside the old one, or have that one left where only one may be."""
        self._changing = True
        try:
            try:
                answer = await self._open(form)
            except Broken as broken:
                if broken.trouble is not Trouble.CONNECTIONS or self._current is None:
                    raise
                self._only_one = True
                return
            if self._next is not None:
                self._next.close()
            self._next = answer
        finally:
            self._changing = False
            self._changed.set()

    async def _until_change(self, answer: aiohttp.ClientResponse) -> AsyncGenerator[list[bytes], None]:
        """Lines until there is a next connection, and those that have come by then. Raises Broken if it ends before."""
        splitter = Splitter()
        while self._next is None and not self._only_one:
            try:
                piece = await self._piece(answer)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self._gap = self._changing
                await self._outlived(ended(_SERVER, error))
            else:
                if piece == b"":
                    self._gap = self._changing
                    if self._gap:
                        yield []  # the server has ended it, perhaps for the next one: it was heard until now
                    await self._outlived(ended(_SERVER))
                elif piece is not None:
                    lines = self._without_eviction(splitter.feed(piece))
                    if splitter.alive:
                        yield lines
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            while rest := answer.content.read_nowait() or (splitter.begun and await _rest_of_line(answer)):
                yield self._without_eviction(splitter.feed(rest))
        if self._next is None:
            raise Broken(Trouble.ENDED, f"{_SERVER} takes one connection, and has to be asked anew for other keywords")

    async def _piece(self, answer: aiohttp.ClientResponse) -> bytes | None:
        """What comes next, empty at the end; None once a change is over."""
        reading = asyncio.ensure_future(answer.content.readany())
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({reading, changed}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return reading.result()
            self._changed.clear()
            return None
        finally:
            reading.cancel()
            changed.cancel()
            await asyncio.gather(reading, changed, return_exceptions=True)

    async def _outlived(self, end: Broken) -> None:
        """The connection has ended: that is no trouble if it is being replaced."""
        if self._changing:
            await self._changed.wait()
        if self._next is None:
            raise end

    def _without_eviction(self, lines: list[bytes]) -> list[bytes]:
        """While we open another connection, the server's word that somebody did is about ourselves."""
        if not self._changing and self._next is None:
            return lines
        return [line for line in lines if self.fact(line).trouble is not Trouble.CONNECTIONS]


async def _rest_of_line(answer: aiohttp.ClientResponse) -> bytes:
    async with asyncio.timeout(_REST_SECONDS):
        return await answer.content.readany()
