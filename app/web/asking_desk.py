"""Previews, standing queries and advice as pages and the API ask for them: how many at once, how often, and of what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any
from weakref import WeakValueDictionary

from app.asking.previewing import preview_of
from app.asking.standing import StandingQueries
from app.domain.advice import Advice, advise
from app.domain.events import Event
from app.domain.people import Caller
from app.domain.preview import Limits, Preview
from app.settings import Settings
from app.web.limits import Limiter
from app.web.problems import Failed, too_many

_AT_ONCE = 2  # previews in a process: each keeps a core busy
_WAIT_SECONDS = 5.0  # for one's turn
ADVICE_A_MINUTE = 120  # who types is advised at each pause; beside a thousand events it is some milliseconds' work
_LOOK_SECONDS = 0.25  # whether whoever asked is still there


class AskingDesk:
    """One of a process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limiter = Limiter(settings.previews_a_minute, max(1, settings.previews_a_minute // 2))
        self._advice = Limiter(ADVICE_A_MINUTE, ADVICE_A_MINUTE // 2)
        self._advising: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._asking: set[str] = set()
        self.standing = StandingQueries(settings)

    def admit_advice(self, caller: Caller) -> None:
        """Raise Failed where somebody asks for advice too often."""
        if wait := self._advice.take(caller.name):
            raise too_many(wait, f"advice is given {ADVICE_A_MINUTE} times a minute")

    async def advice(self, caller: Caller, typed: Sequence[str], others: Sequence[Event]) -> list[Advice]:
        """What is to be said of keywords, for one who asks at a time. Raises Failed."""
        own = self._advising.setdefault(caller.name, asyncio.Lock())
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await own.acquire()
        except TimeoutError:
            raise too_many(1, "other advice of yours is under way") from None
        try:
            return await asyncio.to_thread(advise, typed, others)
        finally:
            own.release()

    async def preview(
        self, caller: Caller, event: Event, since: datetime, limits: Limits, gone: Callable[[], bool]
    ) -> Preview:
        """Try an event; ends when whoever asked is gone. Raises Failed, Unavailable, ConnectionError."""
        if caller.name in self._asking:
            raise too_many(_WAIT_SECONDS, "another preview of yours is under way")
        if wait := self._limiter.take(caller.name):
            raise too_many(wait, f"{self._settings.previews_a_minute} previews a minute are allowed")
        self._asking.add(caller.name)
        try:
            await self._turn()
            try:
                return await self._until_gone(preview_of(self._settings, event, since, limits), gone)
            finally:
                self._turns.release()
        finally:
            self._asking.discard(caller.name)

    async def _turn(self) -> None:
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise Failed(503, "others try keywords just now", headers={"Retry-After": "5"}) from None

    async def _until_gone(self, trying: Coroutine[Any, Any, Preview], gone: Callable[[], bool]) -> Preview:
        task = asyncio.create_task(trying)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=_LOOK_SECONDS)
                if gone():
                    raise ConnectionResetError
            return task.result()
        finally:
            task.cancel()
