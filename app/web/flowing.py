"""Server-sent events: what happens, told to a client for as long as it listens.

Nothing is queued for a client: whoever is slow is told later how it stands then, and how much was passed over. One that
takes nothing for a while is let go, and a browser comes back by itself, with the mark of what it had last. Whether a
client still may listen is asked again and again: a stream has no end of its own, but rights have.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from time import monotonic

import msgspec
from aiohttp import web
from msgspec import Struct

from app.errors import Unavailable
from app.web.limits import Places
from app.web.problems import Failed

log = logging.getLogger(__name__)

MEDIA_TYPE = "text/event-stream"
MOST = 200  # listen at once to a process
MOST_OF_ONE = 20  # of one person: a tab has one
ALIVE_SECONDS = 10.0
TAKEN_SECONDS = 10.0  # a client that takes nothing for so long is let go
AGAIN_MS = 2_000
CHECK_SECONDS = 2.0


class Told(Struct, frozen=True):
    """One event: its name, its JSON, and the mark with which a client that comes back goes on."""

    name: str
    body: object
    mark: str = ""


class Ended(Struct, frozen=True):
    """Why the stream ends."""

    why: str


class Flows:
    """Counts who listens."""

    def __init__(self) -> None:
        self._places = Places("streams", MOST, MOST_OF_ONE)

    async def flow(
        self,
        request: web.Request,
        who: str,
        events: AsyncIterator[Told | None],
        check: Callable[[], Awaitable[object]],
    ) -> web.StreamResponse:
        """Tell a client what comes; None says that nothing has come for now. Raises Failed where too many listen.

        `check` raises Failed or Unavailable once the client may listen no more, which ends the stream.
        """
        with self._places.of(who):
            return await self._tell(request, _while_allowed(events, check))

    async def _tell(self, request: web.Request, events: AsyncIterator[Told | None]) -> web.StreamResponse:
        headers = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        try:
            await _write(response, f"retry: {AGAIN_MS}\n\n")
            said = monotonic()
            async for told in events:
                if told is not None:
                    await _write(response, _text(told))
                elif monotonic() - said >= ALIVE_SECONDS:
                    await _write(response, ": alive\n\n")
                else:
                    continue
                said = monotonic()
        except TimeoutError:
            log.warning("a client that listened takes nothing any more and is let go", extra={"path": request.path})
            if request.transport is not None:
                request.transport.abort()
            return response
        except ConnectionError:
            return response
        with suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(response.write_eof(), TAKEN_SECONDS)
        return response


async def _while_allowed(
    events: AsyncIterator[Told | None], check: Callable[[], Awaitable[object]]
) -> AsyncIterator[Told | None]:
    checked = monotonic()
    async for told in events:
        if monotonic() - checked >= CHECK_SECONDS:
            try:
                await check()
            except Failed as failed:
                yield Told("ended", Ended(failed.problem.detail))
                return
            except Unavailable as away:
                yield Told("ended", Ended(str(away)))
                return
            checked = monotonic()
        yield told


def _text(told: Told) -> str:
    mark = f"id: {told.mark}\n" if told.mark else ""
    return f"{mark}event: {told.name}\ndata: {msgspec.json.encode(told.body).decode()}\n\n"


async def _write(response: web.StreamResponse, text: str) -> None:
    await asyncio.wait_for(response.write(text.encode()), TAKEN_SECONDS)
