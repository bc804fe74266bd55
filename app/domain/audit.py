"""The audit log: who did what, when, from where, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

from msgspec import Struct

Outcome: TypeAlias = Literal["done", "refused", "failed"]


class Audited(Struct, frozen=True, kw_only=True):
    """One entry of the topic `audit`; its key is who did it."""

    at: datetime
    who: str
    by: str  # how it is known who it was, as in `Caller.by`; or "direct", by a command on this machine
    action: str  # "event.edit", "session.begin", "export.create"
    target: str = ""  # an event's code, a person's name
    outcome: Outcome = "done"
    detail: dict[str, Any] = {}
    address: str = ""  # of the client, as the server sees it
