"""Which versions of an event a source was asked for lately: a post that came then belongs to any of them.

A source takes an edit a moment after the classifiers have it, or before; and what it sent under the old keywords may
still be under way. So for some time after an edit the tracker writes into the headers of a record which versions were
in force, and the classifier matches that record against all of them: no edit loses a post that the source has sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from app.domain.events import Event
from app.domain.heard import active_spans, to_ms

# How long an edit counts as lately: X's old rules go 30 s after it, and a stream that lags 30 s behind is given up.
SECONDS = 60.0
TAKES = ("draft", "scheduled", "active", "paused", "stopped")  # in these an event takes imports
MOST_EVENTS = 200  # in one header
_FIELDS = ("keywords", "accounts", "boxes", "languages")


class Lately:
    """Follows what one source is asked for. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._versions: dict[str, list[int]] = {}
        self._until: dict[str, float | None] = {}
        self.text = ""  # for the header

    def begin(self, before: Mapping[str, int], after: Mapping[str, int]) -> None:
        """The source is being asked for other versions."""
        for code, version in after.items():
            old = before.get(code)
            if old != version:
                known = self._versions.setdefault(code, [])
                known += [one for one in (old, version) if one is not None and one not in known]
                self._until[code] = None
        self._write()

    def end(self, now: float) -> None:
        """It has answered."""
        for code, until in self._until.items():
            if until is None:
                self._until[code] = now + SECONDS

    def tick(self, now: float) -> None:
        """Forget what is no longer lately."""
        gone = [code for code, until in self._until.items() if until is not None and until <= now]
        for code in gone:
            del self._until[code], self._versions[code]
        if gone:
            self._write()

    def _write(self) -> None:
        newest = list(self._versions.items())[-MOST_EVENTS:]
        self.text = " ".join(f"{code}:{','.join(map(str, versions))}" for code, versions in newest)


def read(text: str) -> dict[str, tuple[int, ...]]:
    """Versions by event of a header's text; what is not understood is left out."""
    found: dict[str, tuple[int, ...]] = {}
    for part in text.split():
        code, _, versions = part.partition(":")
        numbers = versions.split(",")
        if code and all(number.isascii() and number.isdigit() and len(number) < 10 for number in numbers):
            found[code] = tuple(int(number) for number in numbers)
    return found


def widened(event: Event, since: int) -> Event:
    """The event with all that it selected at this version or a later one, too, as far as its history tells."""
    wide: dict[str, Any] = {field: getattr(event, field) for field in _FIELDS}
    for change in reversed(event.history):
        if change.version <= since:
            break
        for field in _FIELDS:
            if field in change.changed:
                wide[field] = _both(field, wide[field], _tuples(change.changed[field][0]))
    return replace(event, **wide)


def as_heard(event: Event, at: int) -> Event:
    """The event as it was when a post was heard (milliseconds since 1970), where that is wider than it is now.

    A post that waited, on a disk or for its classifier, belongs to the event that wanted it, though the event may have
    ended or its keywords may have changed meanwhile.
    """
    since = max((change.version for change in event.history if to_ms(change.at) <= at), default=event.version)
    wide = widened(event, since)
    if event.status in ("paused", "stopped") and any(start <= at < end for start, end in active_spans(event, at + 1)):
        return replace(wide, status="active")
    return wide


def taking(event: Event) -> Event:
    """The event as one that an archive is imported for: it need not collect for that, only stand."""
    return replace(event, status="active") if event.status in TAKES else event


def became(event: Event) -> int:
    """When it came to select what it did at its version (milliseconds since 1970), as far as its history tells."""
    edits = [
        change.at
        for change in event.history
        if change.action == "edit"
        and change.version <= event.version
        and (not change.changed or not change.changed.keys().isdisjoint(_FIELDS))  # without: it is no longer known
    ]
    return to_ms(edits[-1]) if edits else 0


def moments(events: Iterable[Event]) -> list[int]:
    """When any of the events changed in what it selects or whether it collects; ascending."""
    found = {
        to_ms(change.at)
        for event in events
        for change in event.history
        if change.action != "create" and ("status" in change.changed or not change.changed.keys().isdisjoint(_FIELDS))
    }
    return sorted(found)


def _both(field: str, some: tuple[Any, ...], others: tuple[Any, ...]) -> tuple[Any, ...]:
    if field == "languages" and not (some and others):
        return ()  # one of the two has no restriction
    return tuple(dict.fromkeys((*some, *others)))


def _tuples(value: Any) -> tuple[Any, ...]:
    """A field of a change, which is plain JSON, as the event has it."""
    return tuple(tuple(one) if isinstance(one, list) else one for one in value or ())
