"""What keywords would find, tried against posts that are kept: how many an hour, which, what looks like noise.

And how sure that is: `Basis` says how much of the stream was read, and what the posts cannot tell. `trial` makes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from app.domain.events import Definition, Event, check_selects
from app.domain.noise import Hint
from app.domain.shown import Shown

# whole: all that the source has; rules: what running events asked X for; filter: what matched running events; file:
# what whoever made an archive chose.
Selection: TypeAlias = Literal["whole", "rules", "filter", "file"]
Stop: TypeAlias = Literal["", "posts", "seconds"]

MOST_POSTS = 20_000  # about two seconds of one core
MOST_SECONDS = 8.0  # for reading; a person waits


class Limits(Struct, frozen=True):
    """How much is read at most."""

    posts: int = MOST_POSTS
    seconds: float = MOST_SECONDS


class Heard(Struct, frozen=True):
    """Posts that were read of one source, and whether they can speak for it."""

    source: str
    selection: Selection
    posts: int
    hits: int


class Basis(Struct, frozen=True, kw_only=True):
    """On how much of the stream a preview rests. Times are milliseconds since 1970, when posts were received."""

    asked_since: int
    since: int | None  # of the first and last post read; None where there was none
    until: int | None
    posts: int  # read
    posts_about: int  # kept in that time, as far as the sample tells
    records: int  # read
    records_kept: int
    stopped_by: Stop  # what kept it from reading all; "": nothing
    duplicates: int  # posts that were read before, and count once
    malformed: int
    sources: tuple[Heard, ...]


class Figure(Struct, frozen=True):
    """One selector among the hits."""

    selector: str
    hits: int
    share: float  # of the hits
    alone: int  # hits that only it brings
    per_hour: float | None


class Bin(Struct, frozen=True):
    """A stretch of time; posts and hits as the sample tells."""

    start: int
    posts: int
    hits: int


class Share(Struct, frozen=True):
    """A name and how many of the hits have it."""

    name: str
    hits: int


class Counted(Struct, frozen=True, kw_only=True):
    """What a source itself counts for the selection, without handing over a post."""

    source: str
    since: int
    until: int
    total: int
    queries: int  # it was asked; a post that several find is counted several times
    hours: tuple[Bin, ...]  # `posts` is 0: it counts hits alone
    left_out: tuple[str, ...]  # selectors that it was not asked for, with the reason


class Preview(Struct, frozen=True, kw_only=True):
    """What a selection would find. Figures an hour are None where there is too little time to tell."""

    hits: int  # among the posts read
    per_hour: float | None  # without posts of files, which came at the pace of a replay
    per_hour_low: float | None  # with 95 %, as far as it is chance which posts were read
    per_hour_high: float | None
    bin_ms: int
    bins: tuple[Bin, ...]
    keywords: tuple[Figure, ...]
    languages: tuple[Share, ...]
    accounts: tuple[Share, ...]
    hints: tuple[Hint, ...]
    samples: tuple[Shown, ...]
    basis: Basis
    cannot_tell: tuple[str, ...]  # what these posts say nothing about, in words
    counted: Counted | None = None
    counting_failed: str = ""  # why there is none, where there should be
    words: tuple[str, ...] = ()  # the outcome, a line each


def event_to_try(definition: Definition) -> Event:
    """An event that selects by the definition, to be tried. Raises ValueError, in words for its writer."""
    given = definition.checked().given()
    selects = {name: given[name] for name in ("keywords", "accounts", "boxes", "languages") if name in given}
    event = Event(code="preview", name="preview", status="active", **selects)  # type: ignore[arg-type]
    check_selects(event)
    return event


_WHY = {
    "rules": "X sent what the rules of running events asked for: what only other keywords match is not among its posts",
    "filter": "posts of Bluesky were kept only where a running event matches (STARLING_BLUESKY_FILTER): what only "
    "other keywords match is not among them",
    "file": "posts of files are what whoever made the file has chosen, and came at the pace of the replay: "
    "they are left out of the figures an hour",
}


def cannot_tell(basis: Basis) -> Iterator[str]:
    """What the posts that were read say nothing about, a line each."""
    if not basis.posts:
        yield "no posts are kept of that time: nothing is known of what the keywords would find"
        return
    posts = {selection: sum(one.posts for one in basis.sources if one.selection == selection) for selection in _WHY}
    for selection, why in _WHY.items():
        if posts[selection]:
            yield f"{posts[selection]:,} of {basis.posts:,} posts: {why}"
    if basis.stopped_by:
        yield (
            f"{basis.posts:,} of about {basis.posts_about:,} posts were read, evenly over the time: rare keywords may "
            "have posts that were not among them"
        )


def in_words(preview: Preview) -> Iterator[str]:
    """The outcome, a line each, the most important first."""
    basis = preview.basis
    share = f" ({preview.hits / basis.posts:.2%})" if basis.posts else ""
    yield f"{preview.hits:,} of {basis.posts:,} posts match{share}"
    if preview.per_hour is not None and preview.per_hour_low is not None and preview.per_hour_high is not None:
        exact = preview.per_hour_low == preview.per_hour_high
        span = "" if exact else f" (between {_count(preview.per_hour_low)} and {_count(preview.per_hour_high)})"
        yield f"about {_count(preview.per_hour)} an hour{span}"
    if (counted := preview.counted) is not None:
        hours = max(1.0, (counted.until - counted.since) / 3_600_000)
        up_to = "up to " if counted.queries > 1 else ""
        yield (
            f"{counted.source} itself counts {up_to}{counted.total:,} posts of the last {hours / 24:.1f} days, "
            f"{up_to}{_count(counted.total / hours)} an hour"
        )


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
