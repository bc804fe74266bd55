"""Writes an export here, from Cassandra."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from app.clients import audit
from app.clients.compacted import read_compacted
from app.clients.event_commands import read_events
from app.clients.ledger import read_entries
from app.domain.activity import of_event
from app.domain.exports import Wish, checked
from app.errors import UserError
from app.exporting import job
from app.exporting.job import Job, Told, run
from app.exporting.manifest import File, about
from app.settings import Settings, settings
from app.topics import ACTIVITY
from cli.event_options import who
from cli.remote_export import ASKED

Tell = Callable[[float, int], None]  # the share that is done, and the posts so far


def begun(work: Path) -> Wish | None:
    """What was wished of an export that was begun there. Raises UserError."""
    if (work / ASKED).exists():
        raise UserError(f"{work} is of an export that a server was asked for; remove it, or ask that one again")
    before = job.begun(work)
    return None if before is None else before.wish


def export(code: str, wish: Wish, name: str, work: Path, tell: Tell) -> File:
    """Write the file and its manifest into the directory `work`. Raises ValueError, UserError, Unavailable."""

    def told(how: Told) -> None:
        tell(how.buckets / how.buckets_all if how.buckets_all else 1.0, how.rows)

    current = settings()
    return run(current, asyncio.run(_job(current, code, wish, name)), work, told)


async def _job(current: Settings, code: str, wish: Wish, name: str) -> Job:
    """Raises ValueError where the wish cannot be, UserError, Unavailable."""
    events, entries, counts = await asyncio.gather(
        read_events(current), read_entries(current), read_compacted(current, ACTIVITY, bytes)
    )
    if code not in events:
        raise UserError(f"there is no event {code!r}; `starling event list` shows all")
    event, now = events[code], datetime.now(UTC)
    wish = checked(wish, event)
    await audit.write(current, who(), "exports.fetch", code, {"format": wish.format})
    asked = {"asked_by": who(), "asked_at": now}
    described = about(event, entries, of_event(code, event.born, counts), wish, now)
    return Job(code=code, born=event.born, wish=wish, name=name, begun=now, asked=asked, about=described)
