"""How an account at X is spoken for over HTTP, on either wire: what fails is told in one line."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from yarl import URL

from app.sources.answers import refusal
from app.sources.lines import READ_BYTES, SILENT_SECONDS
from app.sources.reaching import host_of, unreachable, why
from app.sources.source import Broken, Trouble

_CONNECT_SECONDS = 15.0
ANSWER_SECONDS = 30.0
# Of an answer that refuses a stream the status says enough: the rest may drip without end.
_REASON_SECONDS = 5.0
_REASON_BYTES = 64 * 1024


class Account:
    """Requests with one token. Every call raises Broken."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, method: str, url: URL, **asked: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        """An answer of whatever status, and its body."""
        answer = await self._ask(method, url, aiohttp.ClientTimeout(total=ANSWER_SECONDS), asked)
        return answer, await _body_of(answer)

    async def open_stream(self, method: str, url: URL, name: str, **asked: Any) -> aiohttp.ClientResponse:
        """A stream, connected and not yet read; the caller closes it. `name`: as it is called in what is told."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):  # the limits know no time for the head of the answer
                answer = await self._ask(method, url, limits, asked)
        except TimeoutError:
            raise Broken(Trouble.NETWORK, f"{host_of(url)} does not answer") from None
        if answer.status != 200:
            raise refusal(answer.status, answer.headers, await _beginning_of(answer), name)
        return answer

    async def close(self) -> None:
        """Close the connections that it holds."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(
        self, method: str, url: URL, limits: aiohttp.ClientTimeout, asked: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        if not self._token:
            raise Broken(Trouble.DENIED, "there is no token for X; set STARLING_X_BEARER_TOKEN")
        if self._session is None:
            self._session = aiohttp.ClientSession(read_bufsize=READ_BYTES)
        headers = {
            "Authorization": f"Bearer {self._token}",
            "User-Agent": "starling",
            # To unpack costs more CPU than all the rest of the way to Kafka, and a packer holds keep-alives back.
            "Accept-Encoding": "identity",
        }
        try:
            return await self._session.request(method, url, headers=headers, timeout=limits, **asked)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise unreachable(url, error) from error


async def _body_of(answer: aiohttp.ClientResponse) -> bytes:
    try:
        async with answer:
            return await answer.read()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Broken(Trouble.NETWORK, f"{host_of(answer.url)} broke off ({why(error)})") from error


async def _beginning_of(answer: aiohttp.ClientResponse) -> bytes:
    """Of the body what comes soon, and is not large."""
    body = b""
    try:
        async with asyncio.timeout(_REASON_SECONDS):
            while len(body) < _REASON_BYTES and (piece := await answer.content.read(_REASON_BYTES - len(body))):
                body += piece
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass  # the status stands
    finally:
        answer.close()
    return body
