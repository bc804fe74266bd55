"""What the dashboard shows of many events."""

from __future__ import annotations

from app.domain.diagnosis import Finding, Level
from app.web.watching import Glance, looked_at


def glance(code: str, level: Level, rate: float = 0.0, status: str = "active") -> Glance:
    return Glance(code, code, status, 0, rate, Finding(level, "event", "told"))


def test_an_event_that_is_in_trouble_stands_before_the_many_that_are_not() -> None:
    """The page shows a part of the list: a quiet event whose rules are refused would never be seen there."""
    busy = [glance(f"busy-{number}", "fine", 100 - number) for number in range(100)]
    due = [glance("away", "problem", 3), glance("refused", "warning"), *busy, glance("new", "note")]
    rest = [glance("rests", "note", status="paused")]
    assert looked_at([*rest, *reversed(due)]) == due + rest
