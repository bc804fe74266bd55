"""Files handed out over real sockets: whole or in parts, to whoever takes them and still may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientPayloadError, web
from aiohttp.test_utils import TestClient, TestServer

from app.web import handing
from app.web.handing import File, hand_out
from app.web.problems import Failed

WITHIN = 30.0
LARGE = 64 * 1024 * 1024  # more than sockets hold by themselves
PATHS = ["/file", "/made"]


class Handed:
    """A server with a file, and with the same made while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.revoked = False
        self.over = asyncio.Event()

    async def check(self) -> None:
        if self.revoked:
            raise Failed(401, "the token was revoked")

    async def file(self, request: web.Request) -> web.StreamResponse:
        response = File(self.path, {"Content-Type": "text/plain"}, self.check)
        try:
            await response.hand_out(request)
        finally:
            self.over.set()
        return response

    async def made(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = self.path.stat().st_size
        try:
            await hand_out(request, response, self._blocks(), self.check)
        finally:
            self.over.set()
        return response

    def _blocks(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while block := file.read(handing.BLOCK):
                yield block


@asynccontextmanager
async def served(handed: Handed) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    application = web.Application()
    application.router.add_get("/file", handed.file)
    application.router.add_get("/made", handed.made)
    async with TestClient(TestServer(application)) as client:
        yield client


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(LARGE)
    return path


@pytest.mark.parametrize("path", PATHS)
async def test_it_comes_as_it_stands(tmp_path: Path, path: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 3000)
    async with served(Handed(file)) as client:
        for _ in range(2):  # on the same connection
            answer = await client.get(path)
            assert (answer.status, await answer.read()) == (200, file.read_bytes())


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("0-0", 206, slice(0, 1)),
        ("700000-", 206, slice(700_000, None)),
        ("-5", 206, slice(-5, None)),
        ("9999999-", 416, slice(0)),
    ],
)
async def test_parts_of_it_come_too(tmp_path: Path, asked: str, status: int, part: slice) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 3000)
    async with served(Handed(file)) as client:
        answer = await client.get("/file", headers={"Range": f"bytes={asked}"})
        assert answer.status == status
        if status == 206:
            assert await answer.read() == file.read_bytes()[part]
        known = await client.get("/file", headers={"If-None-Match": (await client.get("/file")).headers["ETag"]})
        assert known.status == 304


@pytest.mark.parametrize("path", PATHS)
async def test_who_may_have_it_no_more_gets_no_more_of_it(
    large: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing, "CHECK_SECONDS", 0.0)
    handed = Handed(large)
    async with served(handed) as client:
        answer = await client.get(path)
        await answer.content.readexactly(1024)
        handed.revoked = True
        with pytest.raises((ClientPayloadError, ConnectionError)):
            await asyncio.wait_for(answer.read(), WITHIN)


@pytest.mark.parametrize("path", PATHS)
async def test_who_takes_nothing_is_cut_off(large: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing, "TAKEN_SECONDS", 0.2)
    handed = Handed(large)
    async with served(handed) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await writer.drain()
        await asyncio.wait_for(handed.over.wait(), WITHIN)
        writer.close()


async def test_a_file_that_ends_too_soon_is_cut_off(tmp_path: Path) -> None:
    handed = Handed(tmp_path / "none")
    response = web.StreamResponse()

    def blocks() -> Iterator[bytes]:
        yield b"some"
        raise OSError("it has become shorter")

    async def broken(request: web.Request) -> web.StreamResponse:
        response.content_length = 100
        await hand_out(request, response, blocks(), handed.check)
        return response

    handed.made = broken  # type: ignore[method-assign]
    async with served(handed) as client:
        answer = await client.get("/made")
        with pytest.raises((ClientPayloadError, ConnectionError)):
            await asyncio.wait_for(answer.read(), WITHIN)
