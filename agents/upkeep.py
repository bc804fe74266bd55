"""What the manager does by itself: starts and stops events at their times, and lays out busy ones anew.

It sends commands like a person does, with ids that follow from the event's version, so that doing it twice is doing
it once and every change stands in the event's history.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from agents.sending import Outgoing, send_all
from app.domain.decisions import Action, Command
from app.domain.events import Event
from app.domain.partitioning import LEAD_MS, BucketRule, next_rule
from app.faustapp import App
from app.settings import Settings
from app.topics import EVENT_COMMANDS, full_name
from tables.event_ledger import EventLedger
from tables.known_activity import KnownActivity

INTERVAL = 2.0


def add_upkeep(app: App, settings: Settings, ledger: EventLedger, activity: KnownActivity) -> None:
    """Give the app its timer."""
    topic = full_name(EVENT_COMMANDS, settings)

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
            for command in _due(event, now, activity)
        ]
        await send_all(app, [Outgoing(topic, command.code.encode(), msgspec.json.encode(command)) for command in due])


def _due(event: Event, now: datetime, activity: KnownActivity) -> Iterator[Command]:
    if event.status == "scheduled" and event.start is not None and event.start <= now:
        yield _command(event, "start", now, why="its start has come")
    elif event.status in ("active", "paused") and event.end is not None and event.end <= now:
        yield _command(event, "stop", now, why="its end has come")
    elif event.status == "active":
        rule = next_rule(event.buckets, activity.of(event).minutes, int(now.timestamp() * 1000))
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
