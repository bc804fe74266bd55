"""What the two HTTP wires share: a stream of lines with `\\r\\n` ends, and who may have it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from secrets import compare_digest

from aiohttp import web

from app.simulator.connections import Connection, Manner
from app.simulator.faults import Wire

FAREWELL = b"0\r\n\r\n"


def pack(lines: Sequence[bytes]) -> bytes:
    """Lines as one chunk of HTTP."""
    body = b"\r\n".join([*lines, b""])
    return b"%x\r\n%b\r\n" % (len(body), body)


def manner(broken: bytes, limit: Callable[[int], bytes], disconnect: Callable[[int], bytes]) -> Manner:
    """The manner of a wire of lines."""
    return Manner(pack, pack([b""]), FAREWELL, broken, limit, disconnect)


async def accept(request: web.Request, wire: Wire, how: Manner) -> tuple[web.StreamResponse, Connection]:
    """Answer 200; from now on the connection writes."""
    response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
    response.enable_chunked_encoding()
    response.force_close()
    await response.prepare(request)
    transport = request.transport
    if not isinstance(transport, asyncio.Transport):
        raise ConnectionResetError("the client has gone")
    return response, Connection(wire, how, transport, request.remote or "")


def may(request: web.Request, token: str | None) -> bool:
    """Whether the request has the token, as a bearer or within what OAuth 1 signs; any does where there is none."""
    if token is None:
        return True
    given = request.headers.get("Authorization", "")
    if given.startswith("OAuth "):
        return f'oauth_token="{token}"' in given
    return compare_digest(given.encode(), f"Bearer {token}".encode())
