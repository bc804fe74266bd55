"""Server-sent events over real sockets: their form, signs of life, and clients that are too many or take nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from app.web import flowing
from app.web.flowing import Flows, Told
from app.web.problems import Failed

Source = Callable[[], AsyncIterator[Told | None]]
WITHIN = 20.0


class Served:
    """A server with one stream; `ended` is set when a client's request is over."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.revoked = False
        self.flows = Flows()
        self.ended = asyncio.Event()

    async def __aenter__(self) -> Served:
        application = web.Application()
        application.router.add_get("/", self._handle)
        self._server = TestServer(application)
        await self._server.start_server()
        self.session = ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self._server.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self.flows.flow(request, request.query.get("who", "ada"), self._source(), self._check)
        except Failed as failed:
            return web.Response(status=failed.problem.status, headers=failed.headers)
        finally:
            self.ended.set()

    async def _check(self) -> None:
        if self.revoked:
            raise Failed(401, "the token was revoked")

    @property
    def url(self) -> str:
        return str(self._server.make_url("/"))


async def test_events_have_a_name_a_mark_and_one_line_of_json() -> None:
    async def told() -> AsyncIterator[Told | None]:
        yield Told("posts", {"text": "one\ntwo"}, "1~0:5")
        yield None
        yield Told("ended", {"why": "it is over"})

    async with Served(told) as served, served.session.get(served.url) as response:
        assert response.content_type == "text/event-stream"
        assert await response.text() == (
            "retry: 2000\n\n"
            'id: 1~0:5\nevent: posts\ndata: {"text":"one\\ntwo"}\n\n'
            'event: ended\ndata: {"why":"it is over"}\n\n'
        )


async def test_while_nothing_comes_there_are_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flowing, "ALIVE_SECONDS", 0.01)

    async def told() -> AsyncIterator[Told | None]:
        while True:
            yield None
            await asyncio.sleep(0.005)

    async with Served(told) as served:
        async with served.session.get(served.url) as response:
            await asyncio.wait_for(response.content.readuntil(b": alive\n\n"), WITHIN)
        await asyncio.wait_for(served.ended.wait(), WITHIN)


async def test_who_may_listen_no_more_hears_why_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flowing, "CHECK_SECONDS", 0.01)
    number = 0

    async def told() -> AsyncIterator[Told | None]:
        nonlocal number
        while True:
            number += 1
            yield Told("post", number)
            await asyncio.sleep(0.005)

    async with Served(told) as served, served.session.get(served.url) as response:
        await asyncio.wait_for(response.content.readuntil(b"data: 1\n\n"), WITHIN)
        served.revoked = True
        heard = await asyncio.wait_for(response.text(), WITHIN)
        assert heard.endswith('event: ended\ndata: {"why":"the token was revoked"}\n\n')
        await asyncio.wait_for(served.ended.wait(), WITHIN)


async def test_so_many_may_listen_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flowing, "MOST", 1)
    go_on = asyncio.Event()

    async def told() -> AsyncIterator[Told | None]:
        yield Told("first", {})
        await go_on.wait()

    async with Served(told) as served, served.session.get(served.url) as response:
        await asyncio.wait_for(response.content.readuntil(b"data: {}\n\n"), WITHIN)
        async with served.session.get(served.url) as second:
            assert second.status == 503
            assert second.headers["Retry-After"]
        go_on.set()
        await asyncio.wait_for(response.read(), WITHIN)
        async with served.session.get(served.url) as third:
            assert third.status == 200


async def test_one_person_may_listen_so_often_and_others_still_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flowing, "MOST_OF_ONE", 1)
    go_on = asyncio.Event()

    async def told() -> AsyncIterator[Told | None]:
        yield Told("first", {})
        await go_on.wait()

    async with Served(told) as served, served.session.get(served.url) as response:
        await asyncio.wait_for(response.content.readuntil(b"data: {}\n\n"), WITHIN)
        async with served.session.get(served.url) as again:
            assert again.status == 429
            assert again.headers["Retry-After"]
        async with served.session.get(served.url, params={"who": "ben"}) as other:
            assert other.status == 200
            go_on.set()


async def test_a_client_that_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flowing, "TAKEN_SECONDS", 0.2)

    async def told() -> AsyncIterator[Told | None]:
        while True:
            yield Told("much", "x" * 1_000_000)

    async with Served(told) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served._server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await writer.drain()
        await asyncio.wait_for(served.ended.wait(), WITHIN)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            while True:
                await asyncio.wait_for(reader.readexactly(1 << 20), WITHIN)
        writer.close()
