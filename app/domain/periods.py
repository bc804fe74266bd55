"""When each keyword, account, box and language of an event was in force, by its history."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from msgspec import Struct

from app.domain.events import Event
from app.domain.heard import active_spans, to_ms
from app.domain.heard_plain import iso
from app.domain.spans import Span, intersection, union

FIELDS = ("keywords", "accounts", "boxes", "languages")


class Periods(Struct, frozen=True):
    """By field and by value, the spans in which the event was active and had it; ascending."""

    known_since: int  # of an event with very many changes the history does not tell more
    spans: dict[str, dict[Any, list[Span]]]


def periods(event: Event, now: int) -> Periods:
    """What was in force when, up to now (milliseconds since 1970)."""
    known_since = _known_since(event)
    had: dict[str, dict[Any, list[Span]]] = {field: defaultdict(list) for field in FIELDS}
    for field in FIELDS:
        value, until = tuple(getattr(event, field)), now
        for change in reversed(event.history):
            if (at := to_ms(change.at)) < known_since:
                break
            if field in change.changed:
                _note(had[field], value, at, until)
                value, until = _tuples(change.changed[field][0]), at
        _note(had[field], value, known_since, until)
    active = active_spans(event, now)
    return Periods(
        known_since,
        {
            field: {one: found for one, spans in values.items() if (found := intersection(union(spans), active))}
            for field, values in had.items()
        },
    )


def plain_periods(event: Event, now: int) -> dict[str, Any]:
    """The same as JSON: of each field a list of values with their spans; `to` is null where it goes on."""
    found = periods(event, now)
    going_on = now if event.collecting else None
    return {
        "known_since": iso(found.known_since),
        **{
            field: [
                {
                    "value": one,
                    "in_force": [
                        {"from": iso(since), "to": None if until == going_on else iso(until)} for since, until in spans
                    ],
                }
                for one, spans in values.items()
            ]
            for field, values in found.spans.items()
        },
    }


def ever(event: Event, now: int, field: str) -> set[Any] | None:
    """All values that a field has had; None where the history does not reach back to the beginning."""
    first = event.history[0] if event.history else None
    if first is None or first.action != "create" or _known_since(event) > to_ms(first.at):
        return None
    values = set(getattr(event, field))
    for change in event.history:
        if field in change.changed:
            values |= {*_tuples(change.changed[field][0]), *_tuples(change.changed[field][1])}
    return values


def _known_since(event: Event) -> int:
    """When the oldest definition began that the history tells: edits without their from-to were cut off."""
    for change in reversed(event.history):
        if change.action == "create" or (change.action == "edit" and not change.changed):
            return to_ms(change.at)
    return to_ms(event.history[0].at) if event.history else 0


def _note(had: dict[Any, list[Span]], values: tuple[Any, ...], since: int, until: int) -> None:
    for one in values:
        if since < until:
            had[one].append((since, until))


def _tuples(value: Any) -> tuple[Any, ...]:
    """A field of a change, which is plain JSON, as the event has it."""
    return tuple(tuple(one) if isinstance(one, list) else one for one in value or ())
