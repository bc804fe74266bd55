"""Values of columns as text: what CSV and JSON have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from app.domain.columns import EXPORTED


def text_of(at: datetime) -> str:
    """A time of the driver, UTC without saying so, as ISO 8601 with milliseconds and Z."""
    return f"{at.isoformat(timespec='milliseconds')}Z"


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "timestamp": text_of,
    "uuid": str,
    "list<text>": list,
    "set<text>": sorted,
    "frozen<map<text, text>>": dict,
}


def plainers(columns: Sequence[str]) -> list[Callable[[Any], Any] | None]:
    """For each column what makes its values JSON; None where they are."""
    return [_PLAIN.get(EXPORTED[name]) for name in columns]
