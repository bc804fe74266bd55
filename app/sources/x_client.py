"""X API v2 over HTTP: tweepy's streaming client, at a base URL of ours, with our reading of failures.

tweepy has its base URL fixed in `request` and `_connect`; both are replaced here. Of tweepy remain the calls for rules.
"""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson
from tweepy.asynchronous import AsyncStreamingClient
from yarl import URL

from app.sources.account import Account
from app.sources.answers import errors_of, refusal, wrong_query
from app.sources.reaching import host_of
from app.sources.source import Broken, Trouble

RULES = "/2/tweets/search/stream/rules"
STREAM = "/2/tweets/search/stream"
SEARCH = "/2/tweets/search/recent"
COUNTS = "/2/tweets/counts/recent"
CONNECTIONS = "/2/connections"
_NAMES = {
    RULES: "its rules",
    STREAM: "the stream",
    SEARCH: "recent search",
    COUNTS: "its counts",
    CONNECTIONS: "its connections",
}


class WrongQuery(Broken):
    """X does not understand a query; asking it again would not help."""


class Client(AsyncStreamingClient):
    """One account at X. Every call raises Broken."""

    def __init__(self, base: str, token: str | None) -> None:
        super().__init__(token, return_type=dict)
        self._base = URL(base.rstrip("/"))
        self._account = Account(token)

    async def request(
        self, method: str, route: str, params: Any = None, json: Any = None, user_auth: bool = False
    ) -> aiohttp.ClientResponse:
        """An answer, for tweepy. One that refuses single rules comes back like a success: it says which."""
        answer, _ = await self._answer(method, route, params, json)
        return answer

    async def fetch(self, method: str, route: str, params: Any = None, json: Any = None) -> bytes:
        """The JSON of an answer."""
        _, body = await self._answer(method, route, params, json)
        return body

    async def open_stream(self, params: dict[str, Any]) -> aiohttp.ClientResponse:
        """The filtered stream, connected and not yet read; the caller closes it."""
        return await self._account.open_stream("GET", self._at(STREAM), _NAMES[STREAM], params=params)

    async def close(self) -> None:
        """Close the connections that it holds."""
        await self._account.close()

    async def _answer(self, method: str, route: str, params: Any, json: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        answer, body = await self._account.fetch(method, self._at(route), params=params, json=json)
        speaks_of_rules = route == RULES and method == "POST" and answer.status in (400, 422) and errors_of(body)
        if answer.status == 400 and (why := wrong_query(body)) is not None:
            raise WrongQuery(Trouble.HTTP, f"X does not understand a query: {why}")
        if answer.status >= 300 and not speaks_of_rules:
            raise refusal(answer.status, answer.headers, body, _NAMES[route])
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError:
            raise Broken(Trouble.HTTP, f"{host_of(self._base)} answered {_NAMES[route]} with no JSON") from None
        return answer, body

    def _at(self, route: str) -> URL:
        return self._base.joinpath(route[1:])
