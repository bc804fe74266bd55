"""The simulator in the process of a test, over real sockets, and posts to send by it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import ClientSession, ClientTimeout

from app.simulator import Options, Simulator

RULES = "/2/tweets/search/stream/rules"
STREAM = "/2/tweets/search/stream"
EVENTS = "/xrpc/network.bsky.jetstream.subscribeEvents"
FILTER = "/1.1/statuses/filter.json"
WITHIN = 60.0  # seconds; nothing here takes one


class Client:
    """A simulator and a session with it."""

    def __init__(self, simulator: Simulator, session: ClientSession) -> None:
        self.simulator = simulator
        self.session = session

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        async with self.session.request(method, path, **more) as response:
            text = await response.text()
            return response.status, json.loads(text) if text[:1] in "{[" else text

    async def add(self, *values: str, tag: str = "e") -> Any:
        return (await self.ask("POST", RULES, json={"add": [{"value": value, "tag": tag} for value in values]}))[1]

    async def push(self, *posts: dict[str, Any], **query: str) -> Any:
        body = b"\n".join(json.dumps(post).encode() for post in posts)
        status, answer = await self.ask("POST", "/control/posts", data=body, params=query)
        assert status == 200, answer
        return answer

    async def fault(self, kind: str, **more: Any) -> None:
        status, answer = await self.ask("POST", "/control/fault", json={"kind": kind, **more})
        assert status == 200, answer

    async def log(self, what: str = "post") -> list[dict[str, Any]]:
        entries = (await self.ask("GET", "/control/log"))[1]["entries"]
        return [entry for entry in entries if entry["what"] == what]

    async def why(self, number: str) -> list[str]:
        return [entry["why"] for entry in await self.log() if entry["id"] == number]

    async def state(self) -> Any:
        return (await self.ask("GET", "/control/state"))[1]

    async def stream(self, path: str = STREAM, **query: str) -> aiohttp.ClientResponse:
        response = await self.session.get(path, params=query)
        assert response.status == 200, await response.text()
        return response

    async def until(self, truth: Callable[[Any], object]) -> None:
        async with asyncio.timeout(WITHIN):
            while not truth(await self.state()):  # noqa: ASYNC110 -- it is over HTTP
                await asyncio.sleep(0.01)


class opened:  # noqa: N801 -- used like a function
    def __init__(self, **options: Any) -> None:
        self._simulator = Simulator(Options(**{"posts": 0, "keep_alive": 0.05, **options}))

    async def __aenter__(self) -> Client:
        await self._simulator.__aenter__()
        self._session = ClientSession(
            self._simulator.url, timeout=ClientTimeout(sock_read=WITHIN), read_bufsize=1 << 20
        )
        return Client(self._simulator, self._session)

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()
        await self._simulator.__aexit__(*error)


def v2(number: int, text: str = "a flood") -> dict[str, Any]:
    return {"data": {"id": str(number), "text": text, "created_at": f"2026-01-01T00:00:{number % 60:02}.000Z"}}


def v1(number: int, text: str = "a flood", user: str = "1") -> dict[str, Any]:
    return {"id_str": str(number), "text": text, "user": {"id_str": user, "screen_name": "ann"}}


def commit(key: str, operation: str = "create", collection: str = "app.bsky.feed.post") -> dict[str, Any]:
    record = {"record": {"text": "a flood"}} if operation == "create" else {}
    body = {"operation": operation, "collection": collection, "rkey": key, "rev": key}
    return {"did": "did:plc:ann", "kind": "commit", "commit": body | record}


async def post_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The next line that is no sign of life."""
    async with asyncio.timeout(WITHIN):
        while True:
            line = await response.content.readuntil(b"\r\n")
            assert line, "the stream has ended"
            if line.strip():
                return dict(json.loads(line))


async def message_of(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    return dict(await socket.receive_json(timeout=WITHIN))
