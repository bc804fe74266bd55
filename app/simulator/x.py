"""X API v2: rules, the filtered stream, and the list of connections."""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from app.simulator.account import Account, Arisen, Manners, Refusal
from app.simulator.book import Limits, Matched, RuleBook
from app.simulator.connections import Connection, Manner
from app.simulator.http import accept, manner, may
from app.simulator.log import Log
from app.simulator.search import Memory
from app.simulator.seen import seen_v2

PROBLEMS = "https://api.twitter.com/2/problems"
_MOST_BACKFILL = 5  # minutes
_MOST_BACKFILLED = 20_000  # posts
_TITLES = {
    401: "Unauthorized",
    403: "Forbidden",
    420: "Enhance Your Calm",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


def _limit(withheld: int) -> bytes:
    return orjson.dumps({"limit": {"track": withheld, "timestamp_ms": str(int(time.time() * 1000))}})


def _disconnect(_code: int) -> bytes:
    error = {
        "title": "operational-disconnect",
        "disconnect_type": "UpstreamOperationalDisconnect",
        "detail": "This stream has been disconnected upstream for operational reasons.",
        "type": f"{PROBLEMS}/operational-disconnect",
    }
    return orjson.dumps({"errors": [error]})


MANNER: Manner = manner(b'{"data":{"id":"1","text":"a line that ends in the mid', _limit, _disconnect)


class X:
    """One account at X."""

    def __init__(self, log: Log, limits: Limits, manners: Manners, *, token: str | None, keep_alive: float) -> None:
        self.account = Account("x", manners, log)
        self.book = RuleBook(limits, log)
        self.memory = Memory()
        self._matched: deque[Arisen] = deque(maxlen=_MOST_BACKFILLED)
        self._log = log
        self._token = token
        self._keep_alive = keep_alive

    def routes(self) -> list[web.RouteDef]:
        """Its part of the server."""
        return [
            web.get("/2/tweets/search/stream/rules", self._list_rules),
            web.post("/2/tweets/search/stream/rules", self._change_rules),
            web.get("/2/tweets/search/stream", self._stream),
            web.get("/2/tweets/search/recent", self._search),
            web.get("/2/tweets/counts/recent", self._counts),
            web.get("/2/connections", self._list_connections),
            web.delete("/2/connections", self._end_connections),
            web.delete("/2/connections/{endpoint}", self._end_all),
        ]

    def arise(self, line: bytes, body: dict[str, Any]) -> None:
        """A post `{"data": …}` is made: sent if a rule in force matches it."""
        number = str(body["data"]["id"])
        self.memory.keep(number, line, body)
        self.spread(number, line, self.book.match(seen_v2(body)), remember=True)

    def spread(self, number: str, line: bytes, matched: Matched | None, *, remember: bool) -> None:
        """A post of which is known what it matches."""
        if matched is None:
            self._log.post("x", number, (), why="no rule")
            return
        post = Arisen(number, matched.tags, b"%b,%b}" % (line[:-1], matched.member), time.time())
        if remember:
            self._matched.append(post)
        self.account.spread(post, self.account.live)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if not may(request, self._token):
            return problem(401)
        minutes = request.query.get("backfill_minutes", "0")
        if not minutes.isdecimal() or int(minutes) > _MOST_BACKFILL:
            return invalid(f"The `backfill_minutes` query parameter value [{minutes}] is not between 0 and 5")
        if refusal := self.account.admit():
            return _refused(refusal)
        response, connection = await accept(request, "x", MANNER)
        self.account.join(connection)
        self._backfill(connection, int(minutes) * 60)
        await self.account.stay(connection, self._keep_alive)
        return response

    def _backfill(self, connection: Connection, seconds: int) -> None:
        """Send what arose lately and was not sent."""
        since = time.time() - seconds
        for post in self._matched:
            if seconds and not post.sent and post.at >= since:
                self.account.spread(post, [connection], again=True)
        connection.flush()

    def _no_rules(self, request: web.Request) -> web.Response | None:
        """What is against a request for rules."""
        if not may(request, self._token):
            return problem(401)
        faults = self.account.pending.rules_statuses
        return problem(*faults.pop(0)) if faults else None

    async def _list_rules(self, request: web.Request) -> web.Response:
        if refused := self._no_rules(request):
            return refused
        ids = [number for number in request.query.get("ids", "").split(",") if number]
        return web.json_response(self.book.listed(ids))

    async def _change_rules(self, request: web.Request) -> web.Response:
        if refused := self._no_rules(request):
            return refused
        try:
            body = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            body = None
        dry_run = request.query.get("dry_run") == "true"
        match body:
            case {"add": [_, *_] as items} if all(isinstance(item, dict) for item in items):
                status, answer = self.book.add(items, dry_run=dry_run)
                return web.json_response(answer, status=status)
            case {"delete": dict(which)} if which.keys() <= {"ids", "values"} and any(which.values()):
                ids, values = which.get("ids") or (), which.get("values") or ()
                if all(isinstance(named, str) for named in (*ids, *values)):
                    return web.json_response(self.book.delete([*ids], [*values], dry_run=dry_run))
        return invalid("A request needs `add` with a list of rules or `delete` with ids or values")

    async def _search(self, request: web.Request) -> web.Response:
        if not may(request, self._token):
            return problem(401)
        try:
            return web.json_response(self.memory.search(request.query))
        except ValueError as wrong:
            return _wrong_parameter(request, wrong)

    async def _counts(self, request: web.Request) -> web.Response:
        if not may(request, self._token):
            return problem(401)
        try:
            return web.json_response(self.memory.counts(request.query))
        except ValueError as wrong:
            return _wrong_parameter(request, wrong)

    async def _list_connections(self, request: web.Request) -> web.Response:
        if not may(request, self._token):
            return problem(401)
        status = request.query.get("status", "active")
        live = [] if status == "inactive" else list(self.account.live)
        past = [] if status == "active" else list(self.account.past)
        data = [_told(connection) for connection in (*live, *past)]
        return web.json_response({"data": data, "meta": {"result_count": len(data)}})

    async def _end_connections(self, request: web.Request) -> web.Response:
        if not may(request, self._token):
            return problem(401)
        try:
            wanted = orjson.loads(await request.read())["uuids"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return invalid("The body needs `uuids`")
        live = {connection.id: connection for connection in self.account.live}
        results = []
        for number in wanted:
            if connection := live.get(number):
                self.account.end(connection, "ended by the account")
            error = {} if connection else {"error_message": "Connection not found"}
            results.append({"uuid": number, "success": connection is not None} | error)
        return web.json_response({"data": _kills(results)})

    async def _end_all(self, request: web.Request) -> web.Response:
        if not may(request, self._token):
            return problem(401)
        if request.match_info["endpoint"] not in ("all", "filtered_stream"):
            return invalid("no such endpoint")
        results = [{"uuid": connection.id, "success": True} for connection in self.account.live]
        for connection in tuple(self.account.live):
            self.account.end(connection, "ended by the account")
        return web.json_response({"data": _kills(results)})


def problem(status: int, retry_after: int | None = None) -> web.Response:
    """An error of X."""
    title = _TITLES.get(status, "Error")
    body = {"title": title, "detail": title, "type": "about:blank", "status": status}
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")


def _wrong_parameter(request: web.Request, wrong: ValueError) -> web.Response:
    """The answer to a search whose message begins with the name of what is wrong."""
    name = str(wrong).partition(":")[0]
    return invalid(str(wrong), {name: [request.query[name]]} if name in request.query else None)


def invalid(message: str, parameters: dict[str, list[str]] | None = None) -> web.Response:
    """A request that X does not understand; of a search it names the parameters, with their values."""
    body = {
        "errors": [{"message": message} | ({"parameters": parameters} if parameters else {})],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": f"{PROBLEMS}/invalid-request",
    }
    return web.json_response(body, status=400)


def _refused(refusal: Refusal) -> web.Response:
    if not refusal.too_many:
        return problem(refusal.status, refusal.retry_after)
    body = {
        "title": "ConnectionException",
        "detail": "This stream is currently at the maximum allowed connection limit.",
        "connection_issue": "TooManyConnections",
        "type": f"{PROBLEMS}/streaming-connection",
    }
    return web.json_response(body, status=refusal.status)


def _told(connection: Connection) -> dict[str, Any]:
    told = {
        "id": connection.id,
        "endpoint_name": "filtered_stream",
        "client_ip": connection.peer,
        "connected_at": _iso(connection.since),
    }
    if connection.until is not None:
        told |= {"disconnected_at": _iso(connection.until), "disconnect_reason": connection.why}
    return told


def _kills(results: list[dict[str, Any]]) -> dict[str, Any]:
    good = sum(result["success"] for result in results)
    return {"successful_kills": good, "failed_kills": len(results) - good, "results": results}


def _iso(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
