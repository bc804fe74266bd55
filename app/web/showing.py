"""An event as pages and the API show it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from app.domain.events import Box, Event, Policy, Rematch, Status
from app.domain.partitioning import BucketRule


class Shown(Struct, frozen=True, kw_only=True):
    """An event as the API shows it; its version is the ETag of what is asked for by code."""

    code: str
    name: str
    status: Status
    version: int
    keywords: tuple[str, ...]
    accounts: tuple[str, ...]
    boxes: tuple[Box, ...]
    languages: tuple[str, ...]
    start: datetime | None
    end: datetime | None
    deletions: Policy  # what becomes of posts that their source takes back
    hot: bool
    owners: tuple[str, ...]
    buckets: tuple[BucketRule, ...]  # how its rows are laid out, from when on
    rematches: tuple[Rematch, ...]  # the last few wishes to hear the past
    changed_at: datetime | None  # last
    changed_by: str | None


def shown(event: Event) -> Shown:
    """An event as it is shown."""
    last = event.history[-1] if event.history else None
    fields = {name: getattr(event, name) for name in Shown.__struct_fields__ if hasattr(event, name)}
    return Shown(**fields, changed_at=last.at if last else None, changed_by=last.who if last else None)
