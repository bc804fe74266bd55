"""A WebSocket whose frames are read as they come and handed over in lists, and its troubles in one line each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp
from yarl import URL

from app.sources.reaching import host_of, one_line, unreachable
from app.sources.source import MOST_LINE_BYTES, Broken, Trouble

HEARTBEAT = 10.0  # seconds of silence until a ping; without an answer the connection ends after half of that
CONNECT = 15.0  # seconds until a connection that does not come about is given up
_CLOSE = 1.0  # seconds to wait for the other side's goodbye: a holder has three to hand over
_MOST_FRAMES = 256  # of a list
_MOST_BYTES = 8 * 1024 * 1024  # kept until they are taken; then the socket is not read
_MOST_REASON = 2000  # bytes of a refusal that are read

Decode = Callable[[bytes], bytes]  # raises ValueError


class Refused(Broken):
    """The server has answered with an error; `body` is what it says, as far as it is short."""

    def __init__(self, trouble: Trouble, why: str, body: bytes, *, retry_after: float | None = None) -> None:
        super().__init__(trouble, why, retry_after=retry_after)
        self.body = body


class Frames:
    """An open WebSocket. Made by `connect`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool], host: str, decode: Decode | None) -> None:
        self._socket = socket
        self._host = host
        self._decode = decode
        self._waiting: list[bytes] = []
        self._size = 0
        self._end: Exception | None = None
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def take(self) -> list[bytes]:
        """What has come, in order, at least one frame; none where only a ping or its answer came.

        Raises Broken once the connection has ended and all that came was taken.
        """
        await self._news.wait()
        if not self._waiting and self._end is not None:
            raise self._end
        taken, self._waiting = self._waiting[:_MOST_FRAMES], self._waiting[_MOST_FRAMES:]
        self._size -= sum(map(len, taken))
        if not self._waiting and self._end is None:
            self._news.clear()
        self._room.set()
        return taken

    async def close(self) -> None:
        """End the connection; what was not taken is dropped."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        # Frames that are there already come without a pause of the loop, so lists fill by themselves.
        try:
            while True:
                message = await self._socket.receive()
                await self._take_in(message.type, message.data, message.extra)
                self._news.set()
                if self._size >= _MOST_BYTES:
                    self._room.clear()
                    await self._room.wait()
        except Exception as error:
            unreadable = isinstance(error, ValueError)
            self._end = Broken(Trouble.ENDED, f"{self._host}: {one_line(str(error))}") if unreadable else error
            self._news.set()

    async def _take_in(self, kind: aiohttp.WSMsgType, data: Any, extra: str | None) -> None:
        if kind in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            if kind == aiohttp.WSMsgType.BINARY and self._decode is not None:
                data = self._decode(data)
            self._waiting.append(data)
            self._size += len(data)
        elif kind == aiohttp.WSMsgType.PING:
            with suppress(aiohttp.ClientConnectionError):  # it may lie before the end of a connection that is gone
                await self._socket.pong(data)
        elif kind != aiohttp.WSMsgType.PONG:
            raise Broken(Trouble.ENDED, f"{self._host}: {self._farewell(kind, data, extra)}")

    def _farewell(self, kind: aiohttp.WSMsgType, data: Any, extra: str | None) -> str:
        error = self._socket.exception() or data
        if isinstance(error, aiohttp.ServerTimeoutError):
            return "no answer to a ping"
        if kind == aiohttp.WSMsgType.ERROR:
            return one_line(f"what came is not understood ({error})")
        if kind == aiohttp.WSMsgType.CLOSE:
            return one_line(f"the server ended the connection ({data}{f' {extra}' if extra else ''})")
        return "the connection broke off"


async def connect(
    session: aiohttp.ClientSession, url: URL, protocols: tuple[str, ...], decode: Decode | None
) -> Frames:
    """Open a WebSocket. Raises Broken, and Refused where the server has said no."""
    host = host_of(url)
    try:
        async with asyncio.timeout(CONNECT):
            socket = await session.ws_connect(
                url,
                protocols=protocols,
                heartbeat=HEARTBEAT,
                autoping=False,  # an answer to a ping is a sign of life to be told
                max_msg_size=MOST_LINE_BYTES,
                decode_text=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE),
            )
    except aiohttp.WSServerHandshakeError as error:
        told = one_line(f"{error.message}, HTTP {error.status}")
        raise Broken(Trouble.NETWORK, f"{host} does not speak WebSocket there ({told})") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise unreachable(url, error) from error
    return Frames(socket, host, decode)


async def tell_refusals(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Middleware of a session: an error that the server answers with is raised as Refused, with what it says."""
    response = await handler(request)
    if response.status < 400:
        return response
    body = await up_to(response, _MOST_REASON)
    response.close()
    trouble = {401: Trouble.DENIED, 403: Trouble.DENIED, 420: Trouble.RATE, 429: Trouble.RATE}
    said = one_line(body.decode(errors="replace"))
    raise Refused(
        trouble.get(response.status, Trouble.HTTP),
        f"{host_of(request.url)}: HTTP {response.status}{f' ({said})' if said else ''}",
        body,
        retry_after=_seconds(response.headers.get("Retry-After", "")),
    )


async def up_to(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body of a response, cut where it is longer than that."""
    body = b""
    while len(body) < most and (more := await response.content.read(most - len(body))):
        body += more
    return body


def _seconds(told: str) -> float | None:
    return float(told) if told.isascii() and told.isdigit() and len(told) < 8 else None
