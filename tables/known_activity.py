"""The counts of events as a process knows them: a view of `activity`, summed over partitions."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from app.clients.view import WATCHED_MS, View
from app.domain.activity import Activity, merge
from app.domain.classify import Intake
from app.domain.events import Event
from app.settings import Settings
from app.topics import ACTIVITY, full_name

_decode = msgspec.json.Decoder(Activity).decode
_decode_intake = msgspec.json.Decoder(Intake).decode


class KnownActivity:
    """Counts by event, decoded anew only where they changed."""

    def __init__(self, settings: Settings) -> None:
        self.view: View[bytes] = View(settings, full_name(ACTIVITY, settings), bytes, wait_ms=WATCHED_MS)
        self._partitions = settings.partitions
        self._decoded: dict[str, tuple[bytes, Activity]] = {}
        self._sums: dict[str, tuple[list[Activity], Activity]] = {}

    def of(self, event: Event) -> Activity:
        """The sum of an event's partitions, of its present life."""
        keys = (f"{event.code}|{number}" for number in range(self._partitions))
        parts = [part for key in keys if (part := self._part(key)) is not None and part.born == event.born]
        known = self._sums.get(event.code)
        if (
            known is None
            or len(known[0]) != len(parts)
            or any(a is not b for a, b in zip(known[0], parts, strict=True))
        ):
            known = self._sums[event.code] = (parts, merge(parts))
        return known[1]

    def intake(self) -> Intake:
        """What came out of all raw partitions."""
        total = Intake()
        for part in self._intakes():
            total.add(part)
        return total

    def _intakes(self) -> Iterator[Intake]:
        for key, value in list(self.view.items.items()):
            if key.startswith("*|"):
                yield _decode_intake(value)

    def _part(self, key: str) -> Activity | None:
        value = self.view.items.get(key)
        if value is None:
            self._decoded.pop(key, None)
            self._sums.pop(key.rpartition("|")[0], None)
            return None
        known = self._decoded.get(key)
        if known is None or known[0] is not value:
            known = self._decoded[key] = (value, _decode(value))
        return known[1]
