"""Delivering: brings the notices to each receiver, one task each, so that one that hangs holds up nobody else.

A message is written down, sent, and written down as told. A kill in between sends it once more, with the same id and
content. While Kafka is away nothing new is sent.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime
from time import time

import msgspec
from aiokafka.errors import KafkaError

from agents.duty import Duty
from agents.tenure import Lost
from app.clients.notices import MAIL, Undelivered, Way
from app.clients.view import View
from app.domain.backoff import Backoff, Trouble
from app.domain.digests import Rhythm, is_hopeless, letter, next_message, pending, waiting
from app.domain.notices import Entry, Message, Outcome, Receiver
from app.errors import Unavailable
from app.faustapp import App
from app.metrics import NOTICE_MESSAGES, NOTICES_PENDING, RECEIVER_FAILING
from app.settings import Settings

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 2.0  # after Kafka was away
KAFKA_SECONDS = 10.0


def add_delivering(app: App, settings: Settings, duty: Duty, notices: View[Entry], way: Way) -> None:
    """Give the app the task of one receiver."""
    carrier = _Carrier(settings, duty, notices, way)

    @app.task
    async def delivering() -> None:
        """Tell what is to be told."""
        await app.may_work.wait()
        while not app.should_stop:
            pause = LOOK_SECONDS
            try:
                with suppress(Lost):
                    pause = max(pause, await carrier.round())
            except (KafkaError, Unavailable, OSError, TimeoutError) as away:
                log.warning("messages wait for Kafka", extra={"receiver": way.name, "why": repr(away)})
                pause = AGAIN_SECONDS
            await asyncio.sleep(pause)


class _Carrier:
    def __init__(self, settings: Settings, duty: Duty, notices: View[Entry], way: Way) -> None:
        daily = settings.notify_mail_daily_at if way.name == MAIL else None
        self._rhythm = Rhythm(int(settings.notify_window * 1000), daily)
        self._duty = duty
        self._notices = notices
        self._way = way
        self._backoff = Backoff()

    async def round(self) -> float:
        """Tell one message, where there is one; seconds to wait before the next try. Raises Lost, KafkaError."""
        generation = self._duty.generation
        if generation is None:
            self._backoff = Backoff()
            RECEIVER_FAILING.labels(self._way.name).set(0)
            NOTICES_PENDING.labels(self._way.name).set(0)
            return 0.0
        async with asyncio.timeout(KAFKA_SECONDS):
            await self._notices.catch_up()
        items, now = self._notices.items, _now()
        known = items.get(self._said(ok=True, words="").key)
        if not isinstance(known, Receiver) or known.place != self._way.place:
            await self._duty.write(generation, [self._said(ok=True, words="nothing was told yet")])
        message = waiting(items, self._way.name)
        NOTICES_PENDING.labels(self._way.name).set(
            len(pending(items, self._way.name)) + (len(message.notices) if message is not None else 0)
        )
        if message is None:
            message = next_message(items, self._way.name, self._rhythm, now)
            if message is None:
                return 0.0
            await self._duty.write(generation, [message])
        return await self._tell(generation, message)

    async def _tell(self, generation: int, message: Message) -> float:
        try:
            said = await self._way.send(letter(message, self._notices.items))
        except Undelivered as wrong:
            return await self._failed(generation, message, wrong)
        except Exception as error:
            # Of this receiver alone: the others are told, and posts are stored.
            log.exception("telling a receiver failed", extra={"receiver": self._way.name})
            return await self._failed(generation, message, Undelivered(f"it failed ({type(error).__name__})"))
        self._backoff = Backoff()
        words = f"told {len(message.notices)} at {_clock()}" + (f"; {said}" if said else "")
        await self._note(generation, message, "told", self._said(ok=True, words=words))
        return 0.0

    async def _failed(self, generation: int, message: Message, wrong: Undelivered) -> float:
        log.warning("a receiver was not told", extra={"receiver": self._way.name, "why": str(wrong)})
        if is_hopeless(message, _now(), refused=wrong.refused):
            words = f"{wrong}; {len(message.notices)} notices were given up at {_clock()}"
            await self._note(generation, message, "given up", self._said(ok=False, words=words), str(wrong))
            return 0.0
        trouble = Trouble.DENIED if wrong.refused else Trouble.HTTP
        pause = self._backoff.after(trouble, retry_after=wrong.retry_after)
        words = f"{wrong}; tried again {pause:.0f} s after {_clock()}"
        await self._note(generation, message, "waiting", self._said(ok=False, words=words))
        return pause

    async def _note(
        self, generation: int, message: Message, outcome: Outcome, receiver: Receiver, why: str = ""
    ) -> None:
        """Write down what became of a try. It has been made: while Kafka is away it is not made again."""
        NOTICE_MESSAGES.labels(self._way.name, "failed" if outcome == "waiting" else outcome).inc()
        RECEIVER_FAILING.labels(self._way.name).set(0 if receiver.ok else 1)
        after = msgspec.structs.replace(message, outcome=outcome, ended=receiver.at, why=why)
        while True:
            try:
                return await self._duty.write(generation, [receiver] if outcome == "waiting" else [after, receiver])
            except KafkaError as away:
                log.warning("what was told waits for Kafka", extra={"receiver": self._way.name, "why": repr(away)})
                await asyncio.sleep(AGAIN_SECONDS)

    def _said(self, *, ok: bool, words: str) -> Receiver:
        made = Receiver(name=self._way.name, place=self._way.place, ok=ok, words=words, since=_now(), at=_now())
        before = self._notices.items.get(made.key)
        if not isinstance(before, Receiver) or (before.ok, before.place) != (ok, made.place):
            return made
        return msgspec.structs.replace(made, since=before.since)


def _now() -> int:
    return int(time() * 1000)


def _clock() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
