"""Jetstream: the newer wire (`subscribeEvents`) and the older one (`/subscribe`), both with replay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from aiohttp import WSMsgType, web

from app.simulator import dictionary, websocket
from app.simulator.account import Account, Arisen, Manners, Refusal
from app.simulator.archive import KINDS, Archive, Event, info
from app.simulator.connections import Connection, Manner, Pack
from app.simulator.log import Log

PROTOCOL = "xrpc.v1.json"
_XRPC = "/xrpc/network.bsky.jetstream"
_MICROSECONDS = 10**15  # a cursor from here on is a time
_MOST_COLLECTIONS, _MOST_DIDS = 100, 10_000
_BROKEN = b'{"did":"did:plc:a","kind":"commit","com'


class Wrong(Exception):
    """The request is refused with HTTP 400."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error


class _Filter(NamedTuple):
    kinds: frozenset[str]  # empty: all
    dids: frozenset[str]
    collections: tuple[str, ...]  # with .* for all below
    newer: bool  # which wire

    def wants(self, event: Event) -> bool:
        if (self.kinds and event.kind not in self.kinds) or (self.dids and event.did not in self.dids):
            return False
        if event.kind != "commit" or not self.collections:
            return self.newer or event.kind != "sync"
        name = event.what.get("collection", "")
        return any(name == one or (one.endswith(".*") and name.startswith(one[:-1])) for one in self.collections)


def _overload(_code: int) -> bytes:
    return orjson.dumps({"$type": "error", "error": "ConsumerTooSlow", "message": "reader below floor rate"})


def _silent(_: int) -> bytes:
    return b""


class Jetstream:
    """A server of Jetstream; anybody may listen, any number at once."""

    def __init__(self, log: Log, *, history: int, keep_alive: float) -> None:
        self.account = Account("jetstream", Manners(0), log)
        self.archive = Archive(history)
        self._filters: dict[str, _Filter] = {}
        self._keep_alive = keep_alive

    def routes(self) -> list[web.RouteDef]:
        """Its part of the server."""
        return [
            web.get("/subscribe", self._older),
            web.get(f"{_XRPC}.subscribeEvents", self._newer),
            web.get(f"{_XRPC}.getZstdDictionary", self._dictionary),
        ]

    def arise(self, body: dict[str, Any]) -> None:
        """An event is witnessed, and sent to all who want it."""
        event = self.archive.add(body)
        listeners = tuple(self.account.live)
        if not listeners:
            self.account.spread(Arisen(event.name, event.tags, b"", time.time()), ())
        for connection in listeners:
            self._send(connection, event, again=False)

    def _send(self, connection: Connection, event: Event, *, again: bool) -> None:
        wanted = self._filters[connection.id]
        if wanted.wants(event):
            line = event.v2() if wanted.newer else event.v1()
            self.account.spread(Arisen(event.name, event.tags, line, time.time()), (connection,), again=again)

    async def _older(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        wanted = _Filter(
            frozenset(),
            frozenset(query.getall("wantedDids", ())),
            tuple(query.getall("wantedCollections", ())),
            newer=False,
        )
        try:
            _check(wanted)
            _check_plain(request)
            cursor = _cursor(request)
        except Wrong as wrong:
            return web.Response(text=str(wrong), status=400)
        replay = [] if cursor is None else self.archive.since_us(cursor)[0]
        how = Manner(websocket.pack, websocket.PING, websocket.FAREWELL, _BROKEN, _silent, _silent)
        return await self._serve(request, wanted, how, replay)

    async def _newer(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        wanted = _Filter(
            frozenset(query.getall("kinds", ())),
            frozenset(query.getall("dids", ())),
            tuple(query.getall("collections", ())),
            newer=True,
        )
        try:
            _check(wanted)
            pack = _pack(query.get("zstdDictionary"))
            notice, replay = self._replay(_cursor(request))
        except Wrong as wrong:
            return web.json_response({"error": wrong.error, "message": str(wrong)}, status=400)
        how = Manner(pack, websocket.PING, websocket.FAREWELL, _BROKEN, _silent, _overload)
        return await self._serve(request, wanted, how, replay, notice)

    def _replay(self, cursor: int | None) -> tuple[bytes, list[Event]]:
        """A notice to begin with, perhaps, and the events of the past from a cursor on. Raises Wrong."""
        archive = self.archive
        if cursor is None:
            return b"", []
        if cursor >= _MICROSECONDS:
            events, outdated = archive.since_us(cursor)
            message = f"requested timestamp cursor below retention floor; starting at seq {archive.floor}"
            return (info("OutdatedCursor", message) if outdated else b""), events
        if cursor > archive.next_seq:
            return info("FutureCursor", f"cursor {cursor} is beyond {archive.next_seq}; starting at the live tip"), []
        if max(cursor, 1) < archive.floor:
            raise Wrong("CursorTooOld", f"cursor {cursor} is below the retention floor {archive.floor}")
        return b"", archive.since_seq(cursor)

    async def _serve(
        self, request: web.Request, wanted: _Filter, how: Manner, replay: Sequence[Event], notice: bytes = b""
    ) -> web.StreamResponse:
        if refusal := self.account.admit():
            return _refused(refusal)
        socket = web.WebSocketResponse(protocols=(PROTOCOL,) if wanted.newer else (), autoping=False, compress=False)
        await socket.prepare(request)
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            return socket
        connection = Connection("jetstream", how, transport, request.remote or "")
        self._filters[connection.id] = wanted
        self.account.join(connection)
        connection.say(notice)
        for event in replay:
            self._send(connection, event, again=True)
        connection.flush()
        reading = asyncio.create_task(_read(socket, connection))
        try:
            await self.account.stay(connection, self._keep_alive)
        finally:
            reading.cancel()
            del self._filters[connection.id]
        return socket

    async def _dictionary(self, request: web.Request) -> web.Response:
        if request.query.get("id", str(dictionary.ID)) != str(dictionary.ID):
            return web.json_response({"error": "DictionaryNotFound", "message": "no such dictionary"}, status=400)
        return web.Response(body=dictionary.data(), content_type="application/octet-stream")


async def _read(socket: web.WebSocketResponse, connection: Connection) -> None:
    """Answer pings, unless it is to be silent, and heed the client's end."""
    async for message in socket:
        if message.type is WSMsgType.PING and connection.mood != "silence":
            await socket.pong(message.data)
    connection.lost()


def _check(wanted: _Filter) -> None:
    if unknown := wanted.kinds - set(KINDS):
        raise Wrong("InvalidRequest", f"kinds: there is no {min(unknown)!r}")
    if len(wanted.collections) > _MOST_COLLECTIONS or len(wanted.dids) > _MOST_DIDS:
        raise Wrong("InvalidRequest", "too many collections or dids")
    if wanted.kinds and wanted.collections and "commit" not in wanted.kinds:
        raise Wrong("InvalidRequest", "collections without the kind commit could never apply")


def _check_plain(request: web.Request) -> None:
    if request.query.get("compress") == "true":
        raise Wrong("InvalidRequest", "compress is not simulated on this wire")


def _pack(number: str | None) -> Pack:
    if not number:
        return websocket.pack
    if number != str(dictionary.ID):
        raise Wrong("UnknownZstdDictionary", f"the current dictionary is {dictionary.ID}")
    return websocket.packer(dictionary.compress)


def _cursor(request: web.Request) -> int | None:
    text = request.query.get("cursor", "")
    if not text:
        return None
    if not text.lstrip("-").isdecimal():
        raise Wrong("InvalidRequest", f"cursor: {text!r} is no number")
    return int(text)


def _refused(refusal: Refusal) -> web.Response:
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    body = {"error": "TooManyConnections" if refusal.too_many else "Refused", "message": "try again later"}
    return web.json_response(body, status=refusal.status, headers=headers)
