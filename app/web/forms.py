"""What is typed about an event on a page. Times are UTC; lists are a line each, languages stand with commas."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from msgspec import UNSET, Struct, UnsetType

from app.domain.events import Box, Event, Policy, box_text
from app.web.changing import Edited, New

PASTS = {
    "": "the last hour",
    "none": "nothing",
    "2": "the last 2 hours",
    "6": "the last 6 hours",
    "24": "the last day",
    "72": "the last 3 days",
}


# What becomes of posts that their source takes back.
DELETIONS: dict[Policy, str] = {
    "drop": "goes here too",
    "redact": "stays as a count: without its text, its author and its links",
    "hold": "stays as it is, marked (for an archive that may)",
}


class EventForm(Struct, frozen=True, kw_only=True):
    """The form of an event, as it was typed."""

    name: str = ""
    code: str = ""
    keywords: str = ""
    accounts: str = ""
    boxes: str = ""
    languages: str = ""
    start: str = ""
    end: str = ""
    deletions: Policy = "drop"
    hot: bool = False
    rate: str = ""
    past: str = ""  # hours that a new event hears
    draft: bool = False
    why: str = ""
    version: int = 0  # that was edited

    def new(self) -> New:
        """The event to be created. Raises ValueError."""
        return New(
            name=self.name,
            code=self.code,
            keywords=lines(self.keywords),
            accounts=lines(self.accounts),
            boxes=_boxes(self.boxes),
            languages=items(self.languages),
            start=moment(self.start, "Start"),
            end=moment(self.end, "End"),
            deletions=self.deletions,
            hot=self.hot,
            draft=self.draft,
            rate=_rate(self.rate),
            rematch_since=UNSET if self.draft else past(self.past),
            why=self.why,
        )

    def edited(self) -> Edited:
        """The whole of what can be edited. Raises ValueError."""
        return Edited(
            name=self.name,
            keywords=lines(self.keywords),
            accounts=lines(self.accounts),
            boxes=_boxes(self.boxes),
            languages=items(self.languages),
            start=moment(self.start, "Start"),
            end=moment(self.end, "End"),
            deletions=self.deletions,
            hot=self.hot,
            why=self.why,
        )


def form_of(event: Event) -> EventForm:
    """The form as it begins with an event that stands."""
    return EventForm(
        name=event.name,
        code=event.code,
        keywords="\n".join(event.keywords),
        accounts="\n".join(event.accounts),
        boxes="\n".join(box_text(box) for box in event.boxes),
        languages=", ".join(event.languages),
        start=_typed(event.start),
        end=_typed(event.end),
        deletions=event.deletions,
        hot=event.hot,
        version=event.version,
    )


def lines(text: str) -> tuple[str, ...]:
    """What stands in the lines; blank ones are passed over."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def moment(text: str, name: str) -> datetime | None:
    """A time as it was typed. Raises ValueError."""
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{name}: {text[:40]!r} is no time; write 2026-05-01T18:00 (UTC)") from None


def past(hours: str) -> datetime | UnsetType | None:
    """From when on an event hears the past. Raises ValueError."""
    if hours == "none":
        return None
    if not hours:
        return UNSET
    if hours not in PASTS:
        raise ValueError(f"{hours[:20]!r} is no number of hours to choose from")
    return datetime.now(UTC) - timedelta(hours=int(hours))


def _typed(at: datetime | None) -> str:
    """As a field for a time takes it; with seconds only where there are some, or an edit would change them."""
    if at is None:
        return ""
    at = at.astimezone(UTC).replace(tzinfo=None)
    return at.isoformat(timespec="auto" if at.second or at.microsecond else "minutes")


def items(text: str) -> tuple[str, ...]:
    """What stands between commas and in lines; blanks are passed over."""
    return tuple(part.strip() for part in text.replace("\n", ",").split(",") if part.strip())


def _rate(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if math.isfinite(rate):
        return rate
    raise ValueError(f"{text[:20]!r} is no number of posts a second")


def _boxes(text: str) -> tuple[Box, ...]:
    found = []
    for line in lines(text):
        try:
            west, south, east, north = (float(part) for part in line.split(","))
        except ValueError:
            raise ValueError(f"box {line[:60]!r} is not four numbers west, south, east, north in degrees") from None
        if not all(map(math.isfinite, (west, south, east, north))):
            raise ValueError(f"box {line[:60]!r} is not four numbers west, south, east, north in degrees")
        found.append((west, south, east, north))
    return tuple(found)
