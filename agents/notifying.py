"""Notifying: looks at what the views show, and writes what is worth telling to `notices`.

Exactly one process does it (`duty`). What a notice is and when it is over says `app.domain.noting`; `delivering` tells
people. What was written is known to whoever has the duty next, so a kill -9 doubles and forgets nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import monotonic, time

from aiokafka.errors import KafkaError

from agents.duty import Duty
from agents.tenure import Lost
from app.clients.letters import Letters, dead_letters
from app.clients.view import View
from app.domain import conditions, coverage, happened, noting
from app.domain.conditions import Condition
from app.domain.happened import Limits
from app.domain.notices import BEGAN, Began, Entry, Mute, Notice, receivers_of, to_forget
from app.errors import Unavailable
from app.faustapp import App
from app.metrics import NOTICES
from app.settings import Settings
from app.tracking.budget import PAID, month_of
from tables.known_events import KnownEvents

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
AGAIN_SECONDS = 2.0  # after Kafka was away
KAFKA_SECONDS = 10.0  # for the views to catch up
LETTERS_SECONDS = 5.0
FORGET_SECONDS = 600.0
MINUTE_MS = 60_000
REASONS = 3  # of dead letters, the commonest
MUTES_KEPT = timedelta(days=1)  # after their end, for a page to show


def add_notifying(
    app: App,
    settings: Settings,
    events: KnownEvents,
    ledger: View[coverage.Entry],
    notices: View[Entry],
    mutes: View[Mute],
    receivers: Sequence[str],
) -> Duty:
    """Give the app its task. The views are those of `coverage`, `notices` and `mutes`."""
    duty = Duty(app, settings)
    notifier = _Notifier(settings, duty, events, ledger, notices, mutes, receivers)

    @app.task
    async def notifying() -> None:
        """Look again and again."""
        await app.may_work.wait()
        while not app.should_stop:
            try:
                async with dead_letters(settings) as letters:
                    while not app.should_stop:
                        with suppress(Lost):
                            await notifier.look(letters)
                        await asyncio.sleep(LOOK_SECONDS)
            except (KafkaError, Unavailable, OSError, TimeoutError) as away:
                log.warning("notices wait for Kafka", extra={"why": repr(away)})
                await asyncio.sleep(AGAIN_SECONDS)

    return duty


class _Notifier:
    def __init__(
        self,
        settings: Settings,
        duty: Duty,
        events: KnownEvents,
        ledger: View[coverage.Entry],
        notices: View[Entry],
        mutes: View[Mute],
        receivers: Sequence[str],
    ) -> None:
        self._settings = settings
        self._duty = duty
        self._events = events.view
        self._ledger = ledger
        self._notices = notices
        self._mutes = mutes
        self._receivers = receivers
        self._patience = int(settings.notify_gap_seconds * 1000)
        self._noting = noting.Noting(self._patience)
        self._started = _now()
        self._letters: list[Condition] = []
        self._letters_at = self._forgot_at = -FORGET_SECONDS

    async def look(self, letters: Letters) -> None:
        """Write what has become worth telling. Raises Lost, KafkaError, TimeoutError."""
        generation = self._duty.generation
        if generation is None:
            return
        # What the one before has written must be known, and what is looked at must be of now.
        async with asyncio.timeout(KAFKA_SECONDS):
            views: tuple[View[object], ...] = (self._notices, self._mutes, self._events, self._ledger)
            await asyncio.gather(*(view.catch_up() for view in views))
        now = _now()
        found = self._noting.look(
            self._notices.items,
            self._happened(await self._began(generation), now),
            [*self._conditions(now), *await self._of_letters(letters, now)],
            lambda begun, until: conditions.over(begun, until, self._ledger.items.values()),
            now,
        )
        new = noting.addressed(found, self._receivers, self._mutes.items.values(), now)
        await self._duty.write(generation, new)
        for notice in new:
            if notice.id not in self._notices.items:
                NOTICES.labels(notice.kind).inc()
        await self._forget(generation, now)

    async def _began(self, generation: int) -> int:
        began = self._notices.items.get(BEGAN)
        if isinstance(began, Began):
            return began.at
        await self._duty.write(generation, [Began(at=self._started)])
        return self._started

    def _happened(self, began: int, now: int) -> list[Notice]:
        entries = list(self._ledger.items.values())
        limits = {source: Limits(self._settings.x_reads_soft, self._settings.x_reads_hard) for source in PAID}
        intervals, statuses = coverage.intervals_of(entries), coverage.statuses_of(entries)
        return [
            *happened.changes_of_state(self._events.items.values(), began, now),
            *happened.budgets(intervals, statuses, limits, month_of(now / 1000), now),
        ]

    def _conditions(self, now: int) -> list[Condition]:
        events, entries = self._events.items.values(), self._ledger.items.values()
        gaps = conditions.gaps(events, entries, now, self._patience)
        return [*gaps, *conditions.refusals(events, entries, now)]

    async def _of_letters(self, letters: Letters, now: int) -> list[Condition]:
        if monotonic() - self._letters_at >= LETTERS_SECONDS:
            self._letters_at = monotonic()
            count = await letters.since(now - MINUTE_MS)
            most = self._settings.notify_dead_letters
            standing = any(
                isinstance(one, Notice) and one.stands and one.kind == "dead-letters"
                for one in self._notices.items.values()
            )
            why = await letters.reasons(REASONS) if count > most and not standing else ()
            self._letters = list(conditions.letters(count, most, why, now, standing))
        return self._letters

    async def _forget(self, generation: int, now: int) -> None:
        if monotonic() - self._forgot_at < FORGET_SECONDS:
            return
        self._forgot_at = monotonic()
        gone = [one.key for one in receivers_of(self._notices.items.values()) if one.name not in self._receivers]
        spent = datetime.fromtimestamp(now / 1000, UTC) - MUTES_KEPT
        mutes = [key for key, mute in self._mutes.items.items() if mute.over(spent)]
        await self._duty.forget(generation, [*to_forget(self._notices.items, now), *gone], mutes)


def _now() -> int:
    return int(time() * 1000)
