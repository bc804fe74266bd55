"""What a plot says of how complete its posts are: by what the ledger has of their event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeAlias

from msgspec import Struct

from app.domain.heard_plain import WholeCoverage
from app.domain.heard_words import joint_sentence, sentence

Spans: TypeAlias = tuple[tuple[datetime, datetime], ...]  # naive UTC, as rows have their moments


class Caveat(Struct, frozen=True):
    """The words, and by whom the event was not heard when."""

    words: str
    gaps: dict[str, Spans]
    known: bool = True


def caveat(heard: WholeCoverage, now: datetime | None = None) -> Caveat:
    """Of what was heard of an event; a gap that goes on ends `now`."""
    end = now or datetime.now(UTC)
    if not heard.active_seconds:
        return Caveat("The event did not collect in this time: nobody can say how complete these posts are.", {})
    if not heard.sources:
        return Caveat("No live source was listened to: nobody can say how complete these posts are.", {})
    by_one = {str(one["source"]): _spans(one["gaps"], end) for one in heard.sources}
    if len(by_one) == 1:
        return Caveat(f"{sentence(heard.sources[0])}.", by_one)
    words = [joint_sentence(heard.all_sources), *map(sentence, heard.sources)]
    jointly = {"any source": _spans(heard.all_sources["gaps"], end)}
    return Caveat("\n".join(f"{one}." for one in words), jointly | by_one)


def unknown(why: str) -> Caveat:
    """Where the ledger cannot be asked."""
    return Caveat(f"What was heard of the event is not known: {why}.", {}, known=False)


def _spans(gaps: list[dict[str, Any]], end: datetime) -> Spans:
    return tuple((_moment(gap["from"]), _moment(gap["to"] or end.isoformat())) for gap in gaps)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
