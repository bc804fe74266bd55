"""A span as a strip: each moment is in exactly one piece, and says what it was."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.domain.coverage import InForce, Interval, Withheld
from app.domain.events import Change, Event
from app.domain.strip import Kept, Piece, strips

MINUTE = 60_000
BEGAN = 1_700_000_000_000
NOW = BEGAN + 60 * MINUTE


def at(minutes: int) -> datetime:
    return datetime.fromtimestamp((BEGAN + minutes * MINUTE) / 1000, UTC)


def event(*changes: tuple[int, str, str]) -> Event:
    history = [Change(version=1, at=at(0), who="ada", action="create")]
    status = "active"
    for number, (minute, action, new) in enumerate(changes, 2):
        history.append(
            Change(version=number, at=at(minute), who="ada", action=action, changed={"status": (status, new)})
        )
        status = new
    return Event(code="flood", name="Flood", keywords=("flood",), status=status, history=tuple(history))  # type: ignore[arg-type]


def interval(since: int, until: int, ended: str | None = "cut", withheld: int = 0) -> Interval:
    first, last = BEGAN + since * MINUTE, BEGAN + until * MINUTE
    return Interval(
        source="x",
        connection=str(since),
        opened=first,
        since=first,
        until=last,
        ended=ended,
        events=[InForce("flood", 1, first)],
        withheld=[Withheld(last - 1, withheld)] if withheld else [],
    )


def minutes(pieces: tuple[Piece, ...]) -> list[tuple[int, int, str]]:
    return [((one.since - BEGAN) // MINUTE, (one.until - BEGAN) // MINUTE, one.state) for one in pieces]


def test_what_was_heard_what_was_not_and_when_it_rested() -> None:
    flood = event((10, "pause", "paused"), (20, "resume", "active"))
    entries = [interval(0, 30, withheld=7), interval(40, 60, ended=None)]
    (found,) = strips(flood, entries, (BEGAN, NOW), NOW)
    assert minutes(found.pieces) == [
        (0, 10, "heard"),
        (10, 20, "resting"),
        (20, 30, "heard"),
        (30, 40, "gap"),
        (40, 60, "heard"),
    ]
    assert found.pieces[3].why == "cut"
    assert found.withheld == (Kept(BEGAN + 30 * MINUTE - 1, 7),)
    assert round(found.share, 2) == 0.8


def test_an_event_that_no_source_was_there_for_has_no_strip() -> None:
    assert strips(event(), [], (BEGAN, NOW), NOW) == []


@given(
    st.lists(st.tuples(st.integers(0, 59), st.integers(1, 20)), min_size=1, max_size=6),
    st.integers(-20, 50),
    st.integers(1, 40),
)
def test_pieces_follow_on_one_another_and_fill_the_span(parts: list[tuple[int, int]], first: int, length: int) -> None:
    entries = [interval(since, min(60, since + long)) for since, long in parts]
    span = BEGAN + first * MINUTE, BEGAN + (first + length) * MINUTE
    for found in strips(event((50, "stop", "stopped")), entries, span, NOW):
        assert found.pieces[0].since == span[0]
        assert found.pieces[-1].until == span[1]
        for before, after in zip(found.pieces, found.pieces[1:], strict=False):
            assert before.until == after.since
