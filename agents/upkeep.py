"""What the manager does by itself: starts and stops events at their times, and lays out busy ones anew.

It sends commands like a person does, with ids that follow from the event's version, so that doing it twice is doing
it once and every change stands in the event's history.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from agents.sending import Outgoing, send_all
from app.clients.view import View
from app.domain.activity import Activity, merge
from app.domain.decisions import Action, Command
from app.domain.events import Event
from app.domain.partitioning import LEAD_MS, BucketRule, next_rule
from app.faustapp import App
from app.settings import Settings
from app.topics import EVENT_COMMANDS, full_name
from tables.event_ledger import EventLedger

INTERVAL = 2.0


class _Rates:
    """Posts by minute of each event, decoded anew only where they changed."""

    def __init__(self, activity: View[bytes], partitions: int) -> None:
        self._activity = activity
        self._partitions = partitions
        self._decoded: dict[str, tuple[bytes, Activity]] = {}

    def minutes(self, event: Event) -> dict[int, int]:
        """Minutes since 1970 and the posts of each."""
        parts = [self._part(f"{event.code}|{number}") for number in range(self._partitions)]
        return merge(part for part in parts if part is not None and part.born == event.born).minutes

    def _part(self, key: str) -> Activity | None:
        value = self._activity.items.get(key)
        if value is None:
            self._decoded.pop(key, None)
            return None
        known = self._decoded.get(key)
        if known is None or known[0] is not value:
            known = self._decoded[key] = (value, msgspec.json.decode(value, type=Activity))
        return known[1]


def add_upkeep(app: App, settings: Settings, ledger: EventLedger, activity: View[bytes]) -> None:
    """Give the app its timer."""
    topic = full_name(EVENT_COMMANDS, settings)
    rates = _Rates(activity, settings.partitions)

    @app.timer(INTERVAL)
    async def upkeep() -> None:
        """Look at the events that this process owns."""
        if not app.may_work.is_set() or app.rebalancing:
            return
        now = datetime.now(UTC)
        due = [
            command
            for partition in app.owned(topic)
            for event in ledger.events_of(partition)
            for command in _due(event, now, rates)
        ]
        await send_all(app, [Outgoing(topic, command.code.encode(), msgspec.json.encode(command)) for command in due])


def _due(event: Event, now: datetime, rates: _Rates) -> Iterator[Command]:
    if event.status == "scheduled" and event.start is not None and event.start <= now:
        yield _command(event, "start", now, why="its start has come")
    elif event.status in ("active", "paused") and event.end is not None and event.end <= now:
        yield _command(event, "stop", now, why="its end has come")
    elif event.status == "active":
        rule = next_rule(event.buckets, rates.minutes(event), int(now.timestamp() * 1000))
        if rule is not None:
            yield _command(event, "reshard", now, why="its rate has changed", rule=rule)


def _command(event: Event, action: Action, now: datetime, *, why: str, rule: BucketRule | None = None) -> Command:
    return Command(
        # A rule that came too late was refused, and the next must not get that answer.
        id=f"starling-{event.code}-{event.version}-{action}" + (f"-{rule.since // LEAD_MS}" if rule else ""),
        action=action,
        code=event.code,
        at=now,
        who="starling",
        why=why,
        expected_version=event.version,
        rule=rule,
    )
