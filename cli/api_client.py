"""One request to a server's API, and one clear line for whatever comes of it. No token is in any of these lines."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import IO, Any, NamedTuple, TypeVar

import aiohttp
import msgspec
from aiohttp import ClientResponse, ClientSession, ClientTimeout

from app.errors import Unavailable, UserError
from app.web.problems import MEDIA_TYPE, Problem
from cli.contexts import Context
from cli.terminal import safe

T = TypeVar("T")
Query = Iterable[tuple[str, str]]

PATIENCE = 60.0  # seconds for an answer: the server itself waits for 40
CONNECT_SECONDS = 8.0
SILENT_SECONDS = 30.0  # of what flows: a server says every ten seconds that it is there
_MOST_BYTES = 256 * 1024 * 1024  # of an answer that is no file
_LINE = 1024 * 1024  # of what flows: half of the longest line


class Refused(UserError):
    """The server has understood and does not do it; it says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(safe(problem.detail))
        self.problem = problem


class Replied(NamedTuple):
    """An answer that is none of a problem."""

    status: int
    headers: dict[str, str]  # names in small letters
    body: bytes


class Told(NamedTuple):
    """A server-sent event."""

    name: str
    data: bytes


class ApiClient:
    """Asks one server. Each request has its own connection: a command makes few."""

    def __init__(self, server: Context, patience: float = PATIENCE) -> None:
        self.url = server.url
        self._token = server.token
        self._patience = patience

    async def get(self, path: str, into: type[T], query: Query = ()) -> T:
        """The JSON of a path, as the server's own type. Raises Refused, UserError, Unavailable."""
        return self.decoded((await self.send("GET", path, query=query)).body, into)

    async def post(self, path: str, body: Any, into: type[T]) -> T:
        """What a request with a JSON body is answered with. Raises as `get` does."""
        return self.decoded((await self.send("POST", path, body)).body, into)

    async def send(
        self, method: str, path: str, body: Any = None, *, query: Query = (), version: int | None = None
    ) -> Replied:
        """Send a request; a body of bytes goes as YAML. Raises Refused, UserError, Unavailable.

        `version`: only if the event of the path is at it.
        """
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        data: bytes | None = None
        if body is not None:
            headers["Content-Type"] = "application/yaml" if isinstance(body, bytes) else "application/json"
            data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        patience = ClientTimeout(total=self._patience, sock_connect=CONNECT_SECONDS)
        async with self._asked(method, path, query, headers, data, patience) as response:
            return Replied(response.status, _headers(response), await self._body(response))

    async def flow(self, path: str, query: Query = ()) -> AsyncIterator[Told]:
        """Server-sent events of a path, until the server ends them. Raises as `send` does."""
        patience = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        async with self._asked("GET", path, query, {"Accept": "text/event-stream"}, None, patience) as response:
            if response.content_type != "text/event-stream":
                raise self._strange(response)
            name, data = "", b""
            while line := await response.content.readline():
                field, _, value = line.rstrip(b"\r\n").partition(b": ")
                if field == b"event":
                    name = value.decode("utf-8", "replace")
                elif field == b"data":
                    data = value
                elif not field and name:
                    yield Told(name, data)
                    name, data = "", b""

    async def fetch(self, path: str, file: IO[bytes]) -> None:
        """Add to a file what it lacks of the server's. Raises as `send` does, with what has come so far in the file."""
        had = file.tell()
        headers = {"Range": f"bytes={had}-"} if had else {}
        patience = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        async with self._asked("GET", path, (), headers, None, patience) as response:
            if response.status != HTTPStatus.PARTIAL_CONTENT:
                file.truncate(0)
            async for block in response.content.iter_chunked(_LINE):
                file.write(block)

    def decoded(self, body: bytes, into: type[T]) -> T:
        """A body as the type that the server has made it of. Raises UserError."""
        try:
            return msgspec.json.decode(body, type=into)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UserError(
                f"{self.url} answers, but not as this release of Starling expects it: is it the right address, "
                "and of the same release?"
            ) from None

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        path: str,
        query: Query,
        headers: dict[str, str],
        data: bytes | None,
        patience: ClientTimeout,
    ) -> AsyncIterator[ClientResponse]:
        """The response, if it is good. No redirect is followed: a token is for the server that it was given for."""
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        changes = method != "GET"
        try:
            async with (
                ClientSession(timeout=patience, read_bufsize=_LINE) as session,
                session.request(
                    method,
                    f"{self.url}/api/v1{path}",
                    params=list(query),
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                ) as response,
            ):
                if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                    raise await self._wrong(response)
                yield response
        except aiohttp.ClientSSLError as error:
            raise Unavailable(_of_tls(self.url, error)) from None
        except aiohttp.ClientConnectorError as error:
            raise Unavailable(f"no Starling is reachable at {self.url} ({_cause(error.os_error)})") from None
        except aiohttp.ServerTimeoutError as error:
            raise Unavailable(self._silent(changes=changes and "connect" not in str(error).lower())) from None
        except TimeoutError:
            raise Unavailable(self._silent(changes=changes)) from None
        except (aiohttp.ClientPayloadError, aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise Unavailable(f"{self.url} has broken off{_may(changes=changes)} ({type(error).__name__})") from None
        except (aiohttp.ClientError, ValueError) as error:
            raise UserError(f"{self.url} does not speak as a server of the web does ({type(error).__name__})") from None

    def _silent(self, *, changes: bool) -> str:
        return f"{self.url} does not answer in time{_may(changes=changes)}"

    async def _body(self, response: ClientResponse) -> bytes:
        found = bytearray()
        async for block in response.content.iter_chunked(_LINE):
            found += block
            if len(found) > _MOST_BYTES:
                raise UserError(f"{self.url} answers with more than {_MOST_BYTES:,} bytes")
        return bytes(found)

    async def _wrong(self, response: ClientResponse) -> Exception:
        """What is to be said of an answer that is not good."""
        status = response.status
        if response.content_type != MEDIA_TYPE:
            return self._strange(response)
        try:
            problem = msgspec.json.decode(await self._body(response), type=Problem)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._strange(response)
        if status == HTTPStatus.UNAUTHORIZED:
            return UserError(f"{self.url} does not let you in: {safe(problem.detail)}; `starling login {self.url}`")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unavailable(f"{self.url}: {safe(problem.detail)}")
        if status == HTTPStatus.NOT_FOUND and not problem.reason:
            return UserError(f"{self.url} has no such page: it is of another release of Starling")
        return Refused(problem)

    def _strange(self, response: ClientResponse) -> Exception:
        """Of an answer that no Starling gives: something stands before it, or something else is there."""
        said = f"{response.status} {safe(response.reason or '')}".strip()
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unavailable(f"{self.url} answers {said}")
        to = safe(response.headers.get("Location", ""))[:200]
        elsewhere = f", to {to}" if to else ""
        return UserError(f"{self.url} does not answer as Starling does ({said}{elsewhere}): is it the right address?")


def _headers(response: ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _of_tls(url: str, error: aiohttp.ClientSSLError) -> str:
    cause = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error.os_error
    why = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or type(cause).__name__
    hint = "; SSL_CERT_FILE names a bundle of other CAs" if isinstance(cause, ssl.SSLCertVerificationError) else ""
    return f"no encrypted connection to {url}: {safe(str(why))}{hint}"


def _cause(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _may(*, changes: bool) -> str:
    """What is said of a change whose answer was lost."""
    return "; what was asked for may have been done all the same" if changes else ""
