"""What the web server of every role does by itself."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from app import faustapp
from app.roles import Role
from app.settings import Settings

WITHIN = 30.0


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
async def test_a_connection_by_which_nothing_is_asked_is_closed(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faustapp, "IDLE_SECONDS", 0.1)
    runner = faustapp.make_app(Role.MANAGER, Settings()).web._runner
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(begun)
        assert await asyncio.wait_for(reader.read(), WITHIN) == b""
        writer.close()
    finally:
        await runner.cleanup()
