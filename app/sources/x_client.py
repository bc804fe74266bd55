"""X API v2 over HTTP: tweepy's streaming client, at a base URL of ours, with our reading of failures.

tweepy has its base URL fixed in `request` and `_connect`; both are replaced here. Of tweepy remain the calls for rules.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson
from tweepy.asynchronous import AsyncStreamingClient
from yarl import URL

from app.sources.answers import errors_of, refusal
from app.sources.lines import READ_BYTES, SILENT_SECONDS, told
from app.sources.source import Broken, Trouble

_CONNECT_SECONDS = 15.0
_ANSWER_SECONDS = 30.0
RULES = "/2/tweets/search/stream/rules"
STREAM = "/2/tweets/search/stream"
SEARCH = "/2/tweets/search/recent"
CONNECTIONS = "/2/connections"
_NAMES = {RULES: "its rules", STREAM: "the stream", SEARCH: "recent search", CONNECTIONS: "its connections"}


class Client(AsyncStreamingClient):
    """One account at X. Every call raises Broken."""

    session: aiohttp.ClientSession | None

    def __init__(self, base: str, token: str | None) -> None:
        super().__init__(token, return_type=dict)
        self._base = URL(base.rstrip("/"))

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
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):  # the limits know no time for the head of the answer
                answer = await self._ask("GET", STREAM, params, None, limits)
        except TimeoutError:
            raise Broken(Trouble.NETWORK, f"{self._base.host} does not answer") from None
        if answer.status != 200:
            raise refusal(answer.status, answer.headers, await self._body_of(answer), _NAMES[STREAM])
        return answer

    async def close(self) -> None:
        """Close the connections that it holds."""
        if self.session is not None:
            await self.session.close()
            self.session = None

    async def _answer(self, method: str, route: str, params: Any, json: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        answer = await self._ask(method, route, params, json, aiohttp.ClientTimeout(total=_ANSWER_SECONDS))
        body = await self._body_of(answer)
        speaks_of_rules = route == RULES and answer.status in (400, 422) and errors_of(body)
        if answer.status >= 300 and not speaks_of_rules:
            raise refusal(answer.status, answer.headers, body, _NAMES[route])
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError:
            raise Broken(Trouble.HTTP, f"{self._base.host} answered {_NAMES[route]} with no JSON") from None
        return answer, body

    async def _ask(
        self, method: str, route: str, params: Any, json: Any, limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        if not self.bearer_token:
            raise Broken(Trouble.DENIED, "there is no token for X; set STARLING_X_BEARER_TOKEN")
        if self.session is None:
            self.session = aiohttp.ClientSession(read_bufsize=READ_BYTES)
        headers = {
            "Authorization": f"Bearer {self.bearer_token}",
            "User-Agent": self.user_agent,
            # To unpack costs more CPU than all the rest of the way to Kafka, and a packer holds keep-alives back.
            "Accept-Encoding": "identity",
        }
        try:
            return await self.session.request(
                method, self._base.joinpath(route[1:]), params=params, json=json, headers=headers, timeout=limits
            )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Broken(
                Trouble.NETWORK, f"{self._base.host or self._base} cannot be reached: {told(error)}"
            ) from error

    async def _body_of(self, answer: aiohttp.ClientResponse) -> bytes:
        try:
            async with answer:
                return await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Broken(Trouble.NETWORK, f"{self._base.host} broke off: {told(error)}") from error
