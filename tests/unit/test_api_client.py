"""What is said of a server that does not answer as it should: one line each, and never the token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec import Struct

from app.errors import Unavailable, UserError
from app.web.problems import MEDIA_TYPE, Problem
from cli.api_client import ApiClient, Refused
from cli.contexts import Context, check_token, check_url
from tests.support.receivers import Certificates

TOKEN = "a-secret-token"  # noqa: S105 -- of nobody
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Answer(Struct):
    number: int


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[ApiClient]]]:
    """A server that answers everything so, and a client of it."""
    servers: list[TestServer] = []

    async def made(handler: Handler, patience: float = 60) -> ApiClient:
        application = web.Application()
        application.router.add_route("*", "/{any:.*}", handler)
        server = TestServer(application)
        await server.start_server()
        servers.append(server)
        return ApiClient(Context(str(server.make_url("")).rstrip("/"), TOKEN), patience)

    yield made
    for server in servers:
        await server.close()


Serve = Callable[..., Awaitable[ApiClient]]


def answering(body: bytes | str, status: int = 200, media: str = "application/json", **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        content = body.encode() if isinstance(body, str) else body
        return web.Response(body=content, status=status, content_type=media, headers=headers)

    return handler


def problem(status: int, detail: str, reason: str = "") -> Handler:
    told = Problem(title="", status=status, detail=detail, reason=reason)
    return answering(msgspec.json.encode(told), status, MEDIA_TYPE)


async def said(client: ApiClient, kind: type[Exception], method: str = "GET") -> str:
    with pytest.raises(kind) as raised:
        replied = await client.send(method, "/events", {} if method == "POST" else None)
        client.decoded(replied.body, Answer)
    text = str(raised.value).replace(client.url, "URL")
    assert TOKEN not in text
    assert text.isprintable()
    return text


async def test_the_token_goes_in_a_header_and_the_answer_is_typed(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        assert (request.path, request.query_string) == ("/api/v1/events", "text=a%26b")
        return web.json_response({"number": 7})

    client = await serve(handler)
    assert (await client.get("/events", Answer, [("text", "a&b")])).number == 7
    assert TOKEN not in repr(Context("http://x", TOKEN))


@pytest.mark.parametrize(
    ("handler", "kind", "line"),
    [
        (
            problem(401, "the token has expired"),
            UserError,
            "URL does not let you in: the token has expired; `starling login URL`",
        ),
        (problem(403, "vera (viewer) may not do this"), Refused, "vera (viewer) may not do this"),
        (problem(404, "there is no event 'x'", "unknown"), Refused, "there is no event 'x'"),
        (
            problem(404, "there is no such page"),
            UserError,
            "URL has no such page: it is of another release of Starling",
        ),
        (problem(409, "event 'x' is at version 2, not 1", "version"), Refused, "event 'x' is at version 2, not 1"),
        (problem(422, "the name is \x1b[2Jblank", "invalid"), Refused, "the name is \\x1b[2Jblank"),
        (problem(400, "this is no JSON: x", "invalid"), Refused, "this is no JSON: x"),
        (
            problem(429, "6 previews a minute are allowed; try again in 9 s"),
            Refused,
            "6 previews a minute are allowed; try again in 9 s",
        ),
        (problem(503, "Kafka does not answer"), Unavailable, "URL: Kafka does not answer"),
        (answering("<html>", 502, "text/html"), Unavailable, "URL answers 502 Bad Gateway"),
        (
            answering("<html>", 404, "text/html"),
            UserError,
            "URL does not answer as Starling does (404 Not Found): is it the right address?",
        ),
        (
            answering("", 302, Location="https://elsewhere.example/"),
            UserError,
            "URL does not answer as Starling does (302 Found, to https://elsewhere.example/): is it the right address?",
        ),
        (
            answering("{}", 400, MEDIA_TYPE),
            UserError,
            "URL does not answer as Starling does (400 Bad Request): is it the right address?",
        ),
    ],
)
async def test_each_trouble_is_one_line(serve: Serve, handler: Handler, kind: type[Exception], line: str) -> None:
    assert await said(await serve(handler), kind) == line


@pytest.mark.parametrize("body", ["<html>", "[1, 2]", '{"number": "seven"}', "", b"\xff\xfe", "[" * 100_000])
async def test_nonsense_is_told_as_such(serve: Serve, body: str | bytes) -> None:
    assert (await said(await serve(answering(body)), UserError)).startswith("URL answers, but not as this release of")


async def test_what_was_sent_may_be_done_though_no_answer_comes(serve: Serve) -> None:
    async def silent(_: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        raise AssertionError

    async def torn(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    may = "; what was asked for may have been done all the same"
    client = await serve(silent, 0.3)
    assert await said(client, Unavailable) == "URL does not answer in time"
    assert await said(client, Unavailable, "POST") == f"URL does not answer in time{may}"
    client = await serve(torn)
    assert (await said(client, Unavailable)).startswith("URL has broken off (")
    assert (await said(client, Unavailable, "POST")).startswith(f"URL has broken off{may} (")


async def test_nobody_there_and_something_else_there(unused_tcp_port: int) -> None:
    line = await said(ApiClient(Context(f"http://127.0.0.1:{unused_tcp_port}", TOKEN)), Unavailable)
    assert line.startswith("no Starling is reachable at URL (")

    async def grumble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-something\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(grumble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        line = await said(ApiClient(Context(f"http://127.0.0.1:{port}", TOKEN)), UserError)
    assert line.startswith("URL does not speak as a server of the web does (")


async def test_a_certificate_of_nobody_known(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    application = web.Application()
    application.router.add_route("*", "/{any:.*}", answering('{"number": 1}'))
    server = TestServer(application, scheme="https")
    await server.start_server(ssl=certificates.context)
    try:
        url = f"https://127.0.0.1:{server.port}"
        line = await said(ApiClient(Context(url, TOKEN)), Unavailable)
        assert line.startswith("no encrypted connection to URL: ")
        assert line.endswith("; SSL_CERT_FILE names a bundle of other CAs")
    finally:
        await server.close()


async def test_events_of_a_stream_are_told_one_by_one(serve: Serve) -> None:
    long = "x" * 500_000
    text = f'retry: 2000\n\n: alive\n\nid: 7\nevent: posts\ndata: {{"a": "{long}"}}\n\nevent: state\ndata: {{}}\n\n'
    client = await serve(answering(text, media="text/event-stream"))
    found = [told async for told in client.flow("/tail")]
    assert [(told.name, len(told.data)) for told in found] == [("posts", len(long) + 9), ("state", 2)]
    other = await serve(answering("{}"))
    with pytest.raises(UserError, match="does not answer as Starling does"):
        _ = [told async for told in other.flow("/tail")]


@pytest.mark.parametrize(
    "typed", ["", "x", "ftp://x", "http://", "http://x:y", "http://a:b@x", "http://x?y", "http://x/\n"]
)
def test_an_address_is_one_of_a_server(typed: str) -> None:
    with pytest.raises(UserError, match="this is no address of a server"):
        check_url(typed)
    assert check_url("https://starling.example.org:8443/under/") == "https://starling.example.org:8443/under"


@pytest.mark.parametrize("typed", ["a b", "a\nb", "ü", "x" * 20_000])
def test_a_token_is_one_word(typed: str) -> None:
    with pytest.raises(UserError) as raised:
        check_token(typed)
    assert typed not in str(raised.value)
    assert check_token(" x.y-z_ \n") == "x.y-z_"
