"""How far a rematch is: an event hears anew what is kept of the raw posts since a moment.

`events.Rematch` is the wish (of one that asks a source itself, `app.domain.wishes` tells). `Progress` is what became of
it, in the topic `rematches`, one an event: at once what the
job goes on from after a kill and what people see. Positions and counts stand in one value, so they always agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from app.domain.classify import Intake
from app.domain.events import Event, Rematch
from app.domain.records import RawRecord

# waiting: for the workers, which have enough to do; ended: before its time, `why` says for what reason.
State: TypeAlias = Literal["running", "waiting", "done", "ended"]

HEAR_BACK = timedelta(hours=1)  # what an event hears unasked when it begins for the first time
MAX_SOURCES = 20  # told apart
OTHER_SOURCES = "other"
X_SOURCES = frozenset(("x", "x-v1"))
PAST_SOURCES = ("x", "bluesky")  # can be asked for the past: by recent search, and by Jetstream's replay
_HEARS = ("active", "paused", "stopped")


class Stretch(Struct, frozen=True, array_like=True):
    """Offsets of one raw partition: where the rematch began, what it reads next, and where it stops (exclusive)."""

    start: int
    next: int
    stop: int


class Progress(Struct, frozen=True, kw_only=True):
    """How far the rematch of an event is."""

    code: str
    born: int  # of the event, as versions of the same code may belong to a purged one
    version: int  # of the wish
    since: datetime
    until: datetime  # when the stop line was drawn; what comes later is heard the usual way
    kept_since: datetime | None = None  # where the raw posts do not reach back to `since`
    state: State = "running"
    why: str = ""
    at: datetime  # when this was told
    stretches: dict[int, Stretch]  # by raw partition
    posts: int = 0  # read
    matched: int = 0  # of these; how many of them stand in Cassandra already is known to the workers alone
    sources: dict[str, int] = {}  # posts by the source that they came from
    chosen: int = 0  # of the posts, those kept only because an event of that time wanted them

    @property
    def over(self) -> bool:
        """Whether nothing more will be done."""
        return self.state in ("done", "ended")

    @property
    def reached(self) -> bool:
        """Whether every partition is read up to its stop line."""
        return all(stretch.next >= stretch.stop for stretch in self.stretches.values())

    @property
    def records_all(self) -> int:
        """Raw records to read."""
        return sum(stretch.stop - stretch.start for stretch in self.stretches.values())

    @property
    def records_done(self) -> int:
        """Raw records read."""
        return sum(stretch.next - stretch.start for stretch in self.stretches.values())

    @property
    def only_chosen(self) -> bool:
        """Whether all that it heard had been chosen by what events asked for at that time."""
        return 0 < self.posts == self.chosen

    def after(self, reached: dict[int, int], heard: Iterable[tuple[RawRecord, Intake]], at: datetime) -> Progress:
        """The progress once records up to these offsets were dealt with; `heard` has each with what it held."""
        stretches = self.stretches | {
            number: replace(stretch, next=max(stretch.next, min(reached[number], stretch.stop)))
            for number, stretch in self.stretches.items()
            if number in reached
        }
        sources, posts, matched, chosen = dict(self.sources), self.posts, self.matched, self.chosen
        for record, intake in heard:
            posts += intake.posts
            matched += intake.matched
            chosen += intake.posts if is_chosen(record) else 0
            if intake.posts:
                name = record.source if record.source in sources or len(sources) < MAX_SOURCES else OTHER_SOURCES
                sources[name] = sources.get(name, 0) + intake.posts
        return replace(
            self,
            stretches=stretches,
            posts=posts,
            matched=matched,
            sources=sources,
            chosen=chosen,
            state="running",
            at=at,
        )


def is_chosen(record: RawRecord) -> bool:
    """Whether a record holds only what events asked for when it came: X sends no more, a tracker may keep no more."""
    return record.filtered or bool(record.event) or record.source in X_SOURCES


def kept_wishes(event: Event) -> list[Rematch]:
    """The wishes to hear what is kept of the raw posts."""
    return [wish for wish in event.rematches if not wish.source]


def due(event: Event, progress: Progress | None) -> Rematch | None:
    """What the event has still to hear of what is kept: all that was wished and is not over, as one; None if nothing.

    A newer wish takes up what an older one has left, so that an event has one job at most. One whose event is deleted,
    archived or purged is due too, so that its end is told.
    """
    wishes = kept_wishes(event)
    if not wishes:
        return None
    newest = wishes[-1].version
    if progress is not None and progress.born != event.born:
        progress = None  # of an event of the same code that was purged
    if progress is not None and progress.version == newest:
        return None if progress.over else Rematch(newest, progress.since)
    if progress is None:
        return Rematch(newest, min(wish.since for wish in wishes))
    since = [wish.since for wish in wishes if wish.version > progress.version]
    return Rematch(newest, min([*since, progress.since] if not progress.over else since))


def unasked_since(now: datetime, start: datetime | None) -> datetime:
    """Since when an event that begins now for the first time hears the past: not from before its own start."""
    return now - HEAR_BACK if start is None else max(now - HEAR_BACK, min(start, now - timedelta(seconds=1)))


def cannot_hear(event: Event | None) -> str | None:
    """Why an event hears nothing any more; None if it does."""
    if event is None or event.status in _HEARS:
        return None
    return f"the event is {'being purged' if event.status == 'purging' else event.status}"
