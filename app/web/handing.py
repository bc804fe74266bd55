"""Files handed out: as long as a client takes what comes, and may have it.

A file has no end in time, as a stream has none: whether its reader still may read is asked again and again. Who may not
any more, or takes nothing for a while, is cut off, and sees by the length that was promised that something is missing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import IO, Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from app.errors import Unavailable
from app.web.problems import Failed

log = logging.getLogger(__name__)

BLOCK = 256 * 1024
TAKEN_SECONDS = 30.0  # for a block: who is slower than 9 KB/s is cut off
CHECK_SECONDS = 2.0

Check = Callable[[], Awaitable[object]]


class Handing:
    """One client that takes a file. `check` raises Failed or Unavailable once they may not."""

    def __init__(self, request: web.Request, check: Check) -> None:
        self._request = request
        self._check = check
        self._checked = monotonic()

    async def all(self, writer: AbstractStreamWriter | web.StreamResponse, read: Callable[[], bytes]) -> None:
        """Hand out what `read` gives, which may block, until it is empty. Raises ConnectionError if cut off."""
        try:
            while block := await asyncio.to_thread(read):
                await self._check_in_time()
                await asyncio.wait_for(writer.write(block), TAKEN_SECONDS)
        except ConnectionError:
            raise
        except TimeoutError:
            self._cut_off("it takes nothing any more")
        except (Failed, Unavailable, OSError) as why:
            self._cut_off(str(why))

    async def _check_in_time(self) -> None:
        if monotonic() - self._checked >= CHECK_SECONDS:
            await self._check()
            self._checked = monotonic()

    def _cut_off(self, why: str) -> None:
        log.warning("a client that fetched a file is cut off", extra={"path": self._request.path, "why": why})
        if self._request.transport is not None:
            self._request.transport.abort()
        raise ConnectionResetError(why)


async def hand_out(request: web.Request, response: web.StreamResponse, blocks: Iterator[bytes], check: Check) -> None:
    """Hand out what is made while it is read; no block is empty. Raises ConnectionError."""
    await response.prepare(request)
    await Handing(request, check).all(response, lambda: next(blocks, b""))
    await response.write_eof()


class File(web.FileResponse):
    """A file that stands, or parts of it (Range). `hand_out` sends it."""

    def __init__(self, path: Path, headers: dict[str, str], check: Check) -> None:
        super().__init__(path, headers=headers)
        self._check = check

    async def hand_out(self, request: web.Request) -> None:
        """Send it. Raises ConnectionError."""
        await self.prepare(request)
        await self.write_eof()

    async def prepare(self, request: Any) -> AbstractStreamWriter | None:
        """Once: aiohttp prepares what a handler gives it, and preparing a file is sending it."""
        return self._payload_writer if self.prepared else await super().prepare(request)

    async def _sendfile(self, request: Any, fobj: IO[Any], offset: int, count: int) -> AbstractStreamWriter:
        """Block by block: the system's own sendfile asks nobody, and waits for whoever takes nothing for good."""
        writer = await web.StreamResponse.prepare(self, request)
        assert writer is not None  # noqa: S101 -- it has just been prepared
        fobj.seek(offset)

        def read() -> bytes:
            block: bytes = fobj.read(min(BLOCK, offset + count - fobj.tell()))
            return block

        await Handing(request, self._check).all(writer, read)
        return writer
