"""A small X in the process of a test: rules, the filtered stream, connections and recent search, as X answers them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

TOKEN = "a-token"  # noqa: S105 -- of nobody
TOO_MANY = {
    "title": "ConnectionException",
    "detail": "This stream is currently at the maximum allowed connection limit.",
    "connection_issue": "TooManyConnections",
    "type": "https://api.x.com/2/problems/streaming-connection",
}


class FakeX:
    """What a test sets before, and what it finds afterwards."""

    def __init__(self) -> None:
        self.token = TOKEN
        self.rules: list[dict[str, str]] = []
        self.cap = 1000
        self.invalid: set[str] = set()  # what X does not understand, wherever it stands in a rule
        self.page = 1000
        self.pieces: list[bytes] = []  # of a stream that then ends, or
        self.hold = False  # stays open
        self.answer: tuple[int, dict[str, str], Any] | None = None  # to everything, instead of all else
        self.status = 200  # of the stream: another one refuses it, with the same pieces
        self.connections: list[str] = []
        self.pages: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str, dict[str, str], Any]] = []
        self.made = 0

    def asked(self, path: str = "") -> list[str]:
        """What was called, in short."""
        return [f"{method} {to}" for method, to, _, _ in self.calls if path in to]

    @web.middleware
    async def gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        short = request.path.removeprefix("/2/").removeprefix("tweets/search/")
        self.calls.append((request.method, short, dict(request.query), body))
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"title": "Unauthorized", "detail": "Unauthorized", "status": 401}, status=401)
        if self.answer is not None:
            status, headers, content = self.answer
            if isinstance(content, str):
                return web.Response(status=status, headers=headers, text=content)
            return web.json_response(content, status=status, headers=headers)
        return await handler(request)

    async def get_rules(self, request: web.Request) -> web.Response:
        start = int(request.query.get("pagination_token", "0"))
        meta: dict[str, Any] = {"sent": "now"}
        if start + self.page < len(self.rules):
            meta["next_token"] = str(start + self.page)
        if not self.rules:
            return web.json_response({"meta": meta})
        return web.json_response({"data": self.rules[start : start + self.page], "meta": meta})

    async def post_rules(self, request: web.Request) -> web.Response:
        body = await request.json()
        if "delete" in body:
            ids = set(body["delete"]["ids"])
            self.rules = [rule for rule in self.rules if rule["id"] not in ids]
            return web.json_response({"meta": {"summary": {"deleted": len(ids), "not_deleted": 0}}})
        held = {rule["value"]: rule["id"] for rule in self.rules}  # whatever the tag
        errors: list[dict[str, Any]] = []
        new: list[dict[str, str]] = []
        for rule in body["add"]:
            if any(bad in rule["value"] for bad in self.invalid):
                errors.append({"value": rule["value"], "details": ["no viable alternative"], "title": "Invalid Rule"})
            elif twin := held.get(rule["value"]):
                errors.append({"value": rule["value"], "id": twin, "title": "DuplicateRule"})
            else:
                self.made += 1
                new.append({"value": rule["value"], "tag": rule["tag"], "id": f"r{self.made}"})
        if any(error["title"] == "Invalid Rule" for error in errors):
            return web.json_response({"meta": {}, "errors": errors}, status=400)
        if request.query.get("dry_run") == "true":
            return web.json_response({"data": new, "meta": {}})
        if len(self.rules) + len(new) > self.cap:
            problem = {"title": "RulesCapExceeded", "detail": f"Rules cap {self.cap}."}
            return web.json_response(problem, status=422)
        self.rules += new
        return web.json_response({"data": new, "meta": {}} | ({"errors": errors} if errors else {}), status=201)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=self.status)
        await answer.prepare(request)
        for piece in self.pieces:
            await answer.write(piece)
        if self.hold:
            await asyncio.Event().wait()
        return answer

    async def get_connections(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": name, "endpoint_name": "x"} for name in self.connections]})

    async def delete_connections(self, request: web.Request) -> web.Response:
        gone = (await request.json())["uuids"]
        self.connections = [name for name in self.connections if name not in gone]
        return web.json_response({"data": {"successful_kills": len(gone), "failed_kills": 0, "results": []}})

    async def search(self, request: web.Request) -> web.Response:
        query = request.query["query"]
        if any(bad in query for bad in self.invalid):
            wrong = {"parameters": {"query": [query]}, "message": f"no viable alternative at input '{query}'"}
            problem = {"title": "Invalid Request", "detail": "One or more parameters to your request was invalid."}
            return web.json_response(problem | {"errors": [wrong]}, status=400)
        at = int(request.query.get("next_token", "0"))
        return web.json_response(self.pages[at] if at < len(self.pages) else {"meta": {"result_count": 0}})


@asynccontextmanager
async def serving(fake: FakeX) -> AsyncIterator[str]:
    """The address of the server while it runs."""
    app = web.Application(middlewares=[fake.gate])
    app.router.add_get("/2/tweets/search/stream/rules", fake.get_rules)
    app.router.add_post("/2/tweets/search/stream/rules", fake.post_rules)
    app.router.add_get("/2/tweets/search/stream", fake.stream)
    app.router.add_get("/2/connections", fake.get_connections)
    app.router.add_delete("/2/connections", fake.delete_connections)
    app.router.add_get("/2/tweets/search/recent", fake.search)
    server = TestServer(app, shutdown_timeout=0)
    await server.start_server()
    try:
        yield str(server.make_url("/"))
    finally:
        await server.close()
