"""When each keyword of an event was in force."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.decisions import Command, Refused, decide
from app.domain.events import Definition, Event
from app.domain.heard import active_spans, to_ms
from app.domain.periods import FIELDS, ever, periods, plain_periods

START = datetime(2024, 5, 1, tzinfo=UTC)
HOUR = 3_600_000


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def ms(hours: float) -> int:
    return to_ms(at(hours))


def change(event: Event | None, action: Any, hours: float, **fields: Any) -> Event:
    """The event after a command at that hour."""
    command = Command(
        id=f"{action}{hours}", action=action, code="flood", at=at(hours), who="a test", definition=Definition(**fields)
    )
    return decide(command, event)


def flood() -> Event:
    event = change(None, "create", 0, name="Flood", keywords=("flood", "dike"))
    event = change(event, "edit", 1, keywords=("flood", "bridge"))
    event = change(event, "pause", 2)
    event = change(event, "resume", 3)
    return change(event, "edit", 4, keywords=("flood", "dike"), languages=("en",))


def test_each_keyword_has_its_periods() -> None:
    found = periods(flood(), ms(5)).spans
    assert found["keywords"] == {
        "flood": [(ms(0), ms(2)), (ms(3), ms(5))],
        "bridge": [(ms(1), ms(2)), (ms(3), ms(4))],
        "dike": [(ms(0), ms(1)), (ms(4), ms(5))],
    }
    assert found["languages"] == {"en": [(ms(4), ms(5))]}
    assert found["accounts"] == found["boxes"] == {}


def test_as_json_what_goes_on_has_no_end() -> None:
    plain = plain_periods(flood(), ms(5))
    assert plain["known_since"] == at(0).isoformat()
    (dike,) = [one for one in plain["keywords"] if one["value"] == "dike"]
    assert dike["in_force"] == [
        {"from": at(0).isoformat(), "to": at(1).isoformat()},
        {"from": at(4).isoformat(), "to": None},
    ]
    stopped = plain_periods(change(flood(), "stop", 5), ms(6))
    assert stopped["languages"] == [{"value": "en", "in_force": [{"from": at(4).isoformat(), "to": at(5).isoformat()}]}]


def test_boxes_too() -> None:
    event = change(None, "create", 0, name="Flood", boxes=((8.0, 47.0, 9.0, 48.0),))
    event = change(event, "edit", 1, boxes=(), keywords=("flood",))
    assert periods(event, ms(2)).spans["boxes"] == {(8.0, 47.0, 9.0, 48.0): [(ms(0), ms(1))]}
    assert ever(event, ms(2), "boxes") == {(8.0, 47.0, 9.0, 48.0)}


def test_what_the_history_does_not_tell_is_not_invented() -> None:
    event = flood()
    cut = replace(event, history=(event.history[0], replace(event.history[1], changed={}), *event.history[2:]))
    found = periods(cut, ms(5))
    assert found.known_since == ms(1)
    assert "dike" not in {k for k, spans in found.spans["keywords"].items() if spans[0][0] < ms(1)}
    assert ever(cut, ms(5), "keywords") is None
    assert ever(event, ms(5), "keywords") == {"flood", "dike", "bridge"}


def test_an_event_without_a_history_is_known_as_it_stands() -> None:
    event = Event(code="flood", name="Flood", keywords=("flood",), status="active")
    assert periods(event, ms(1)).spans["keywords"] == {}, "it is not known since when it is active"
    assert ever(event, ms(1), "keywords") is None


WORDS = st.sampled_from(["flood", "dike", "bridge", "سيل", "洪水"])
KEYWORDS = st.lists(WORDS, min_size=1, unique=True).map(tuple)


@given(KEYWORDS, st.lists(KEYWORDS | st.sampled_from(["pause", "resume", "stop", "start"]), max_size=8))
def test_at_each_moment_what_was_in_force_is_what_the_event_had(first: tuple[str, ...], steps: list[Any]) -> None:
    event = change(None, "create", 0, name="Flood", keywords=first)
    stood = [event]
    for hour, step in enumerate(steps, 1):
        with suppress(Refused):  # then nothing has changed
            event = change(event, step, hour) if isinstance(step, str) else change(event, "edit", hour, keywords=step)
        stood.append(event)
    end = ms(len(stood))
    found = periods(event, end)
    for hour, then in enumerate(stood):
        moment = ms(hour + 0.5)
        in_force = {one for one, spans in found.spans["keywords"].items() if any(a <= moment < b for a, b in spans)}
        active = any(a <= moment < b for a, b in active_spans(event, end))
        assert in_force == (set(then.keywords) if active else set())
    assert set(found.spans) == set(FIELDS)
