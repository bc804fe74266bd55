"""X API v1.1: `statuses/filter`. What is asked for belongs to the connection; a newer connection ends the older."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

import orjson
from aiohttp import web

from app.simulator.account import Account, Arisen, Manners, Refusal
from app.simulator.http import accept, manner, may
from app.simulator.log import Log
from app.simulator.seen import seen_v1
from app.simulator.track import Unwanted, Wanted

_REASONS = {
    1: "Shutdown",
    2: "Duplicate stream",
    4: "Stall",
    5: "Normal",
    6: "Token revoked",
    7: "Admin logout",
    9: "Max message limit",
    10: "Stream exception",
    11: "Broker stall",
    12: "Shed load",
}


def _limit(withheld: int) -> bytes:
    return orjson.dumps({"limit": {"track": withheld, "timestamp_ms": str(int(time.time() * 1000))}})


def _disconnect(code: int) -> bytes:
    reason = _REASONS.get(code, "Unknown")
    return orjson.dumps({"disconnect": {"code": code, "stream_name": "simulated", "reason": reason}})


MANNER = manner(b'{"created_at":"Wed Oct 10 20:19:24 +0000 2018","id":1,"te', _limit, _disconnect)


class XV1:
    """The same account, as v1.1 sees it."""

    def __init__(self, log: Log, *, attempts: int, token: str | None, keep_alive: float) -> None:
        self.account = Account("v1", Manners(1, evicts=True, too_many=420, attempts=attempts), log)
        self._wanted: dict[str, Wanted] = {}
        self._token = token
        self._keep_alive = keep_alive

    def routes(self) -> list[web.RouteDef]:
        """Its part of the server."""
        return [web.post("/1.1/statuses/filter.json", self._filter), web.get("/1.1/statuses/filter.json", self._filter)]

    def arise(self, line: bytes, body: dict[str, Any]) -> None:
        """A post is made: sent to those who asked for it."""
        number = str(body["id_str"])
        if not self.account.live:
            self.account.spread(Arisen(number, (), line, time.time()), ())
            return
        seen = seen_v1(body)
        for connection in tuple(self.account.live):
            if tags := self._wanted[connection.id].match(seen):
                self.account.spread(Arisen(number, tags, line, time.time()), (connection,))
            else:
                self.account.log.post("v1", number, (), connection=connection.id, why="no rule")

    async def _filter(self, request: web.Request) -> web.StreamResponse:
        if not may(request, self._token):
            return web.Response(text="Unauthorized", status=401)
        try:
            # No file can be among them: the body is a form of plain text.
            wanted = Wanted(dict(request.query) | dict(cast("Mapping[str, str]", await request.post())))
        except Unwanted as wrong:
            return web.Response(text=str(wrong), status=wrong.status)
        if refusal := self.account.admit():
            return _refused(refusal)
        response, connection = await accept(request, "v1", MANNER)
        self._wanted[connection.id] = wanted
        self.account.join(connection)
        try:
            await self.account.stay(connection, self._keep_alive)
        finally:
            del self._wanted[connection.id]
        return response


def _refused(refusal: Refusal) -> web.Response:
    why = "Exceeded connection limit for user" if refusal.too_many else f"Error {refusal.status}"
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    return web.Response(text=why, status=refusal.status, headers=headers)
