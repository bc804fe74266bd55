"""An export of an event's posts: what is wished, how far it is, and what may be asked for.

In the topic `exports` each export has two entries, each with one kind of writer: `Asked`, by whoever took the request,
and `Progress`, by the manager that owns the event.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from app.domain.columns import EXPORTED
from app.domain.events import Event
from app.domain.heard import to_ms
from app.domain.moments import in_utc
from app.domain.periods import ever
from app.domain.records import Origin
from app.domain.searching import check_tag

Format: TypeAlias = Literal["jsonl", "raw", "csv", "parquet", "gexf", "ids"]
Network: TypeAlias = Literal["mentions", "retweets", "hashtags"]
State: TypeAlias = Literal["waiting", "running", "done", "failed", "cancelled", "removed", "expired"]

WITH_COLUMNS = ("jsonl", "csv", "parquet")
MAX_FILTERS = 100  # values of one filter
ENDINGS: dict[Format, str] = {
    "jsonl": ".jsonl",
    "raw": ".raw.jsonl",
    "csv": ".csv",
    "parquet": ".parquet",
    "gexf": ".gexf",
    "ids": ".ids.txt",
}
MEDIA_TYPES: dict[Format, str] = {
    "jsonl": "application/jsonl",
    "raw": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "gexf": "application/gexf+xml",
    "ids": "text/plain; charset=utf-8",
}
FORGOTTEN_AFTER = timedelta(days=30)  # an export is listed as long after its file was removed


class Filters(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which posts: those that pass every filter given, by one of its values. Times are those of `t_created_at`."""

    since: datetime | None = None
    until: datetime | None = None  # exclusive
    languages: tuple[str, ...] = ()  # as the source writes them; pt also finds pt-br
    keywords: tuple[str, ...] = ()  # keys of `matched`: also from:account and box:…
    accounts: tuple[str, ...] = ()  # screen names of authors, or their ids
    origins: tuple[Origin, ...] = ()
    tags: tuple[str, ...] = ()  # that people have given


class Wish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person asks for. `columns` empty: all."""

    format: Format
    columns: tuple[str, ...] = ()
    bom: bool = False  # CSV for spreadsheets
    network: Network = "mentions"  # GEXF
    filters: Filters = Filters()

    @property
    def columns_wanted(self) -> tuple[str, ...]:
        """Columns of the file, in the order of the table."""
        return tuple(name for name in EXPORTED if not self.columns or name in self.columns)


class Withdrawn(Struct, frozen=True):
    """Nobody wants it any more: it is broken off, and its file removed."""

    at: datetime
    who: str


class Asked(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="asked"):
    """A request."""

    id: str
    code: str
    born: int  # of the event, as another of the same code may follow a purged one
    wish: Wish
    at: datetime
    who: str
    withdrawn: Withdrawn | None = None


class Progress(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="progress"):
    """How far it is."""

    id: str
    code: str
    state: Literal["running", "done", "failed", "cancelled"]
    at: datetime  # when this was told
    why: str = ""  # it failed, or what it waits for
    store: str = ""  # the directory that has its file, by its id
    host: str = ""  # where that is
    buckets: int = 0  # read
    buckets_all: int = 0
    rows: int = 0  # written
    bytes: int = 0
    file: str = ""  # its name
    sha256: str = ""
    expires: datetime | None = None  # when the file is removed

    @property
    def over(self) -> bool:
        """Whether nothing more will be done."""
        return self.state != "running"

    @property
    def share(self) -> float:
        """How much of it is done, of 1."""
        return self.buckets / self.buckets_all if self.buckets_all else 0.0


class Export(Struct, frozen=True):
    """An export as people see it."""

    asked: Asked
    progress: Progress | None = None

    def state(self, now: datetime) -> State:
        """What has become of it."""
        progress = self.progress
        if progress is not None and progress.state == "done":
            if self.asked.withdrawn is not None:
                return "removed"
            return "expired" if progress.expires is not None and progress.expires <= now else "done"
        if progress is not None and progress.over:
            return progress.state
        if self.asked.withdrawn is not None:
            return "cancelled"
        return "waiting" if progress is None else progress.state

    def forgotten(self, now: datetime) -> bool:
        """Whether its entries can go."""
        if self.progress is None:
            return False
        end = self.progress.expires or self.progress.at
        return self.progress.over and end + FORGOTTEN_AFTER <= now


def exports_of(entries: Iterable[Asked | Progress]) -> dict[str, Export]:
    """All exports by id; an entry of progress that nobody asked for is left out."""
    entries = list(entries)
    progress = {one.id: one for one in entries if isinstance(one, Progress)}
    return {one.id: Export(one, progress.get(one.id)) for one in entries if isinstance(one, Asked)}


def progress_key(export_id: str) -> str:
    """Key of the entry of progress; that of the request is the id itself."""
    return f"{export_id}|progress"


def checked(wish: Wish, event: Event) -> Wish:
    """The wish in its canonical form. Raises ValueError, in words for who wishes it."""
    if unknown := [name for name in wish.columns if name not in EXPORTED]:
        raise ValueError(f"there is no column {unknown[0]!r}; see docs/exports.md")
    if wish.columns and wish.format not in WITH_COLUMNS:
        raise ValueError(f"columns can be chosen for {', '.join(WITH_COLUMNS)}, not for {wish.format}")
    if wish.bom and wish.format != "csv":
        raise ValueError("a byte order mark is for csv alone")
    if wish.network != "mentions" and wish.format != "gexf":
        raise ValueError("a network is for gexf alone")
    return replace(wish, columns=tuple(dict.fromkeys(wish.columns)), filters=_checked(wish.filters, event))


def _checked(filters: Filters, event: Event) -> Filters:
    since, until = (None if at is None else in_utc(at) for at in (filters.since, filters.until))
    filters = replace(filters, since=since, until=until)
    if filters.since and filters.until and filters.since >= filters.until:
        raise ValueError("the export ends before it begins")
    for name in ("languages", "keywords", "accounts", "origins", "tags"):
        if len(getattr(filters, name)) > MAX_FILTERS:
            raise ValueError(f"more than {MAX_FILTERS} {name}")
    _check_keywords(filters.keywords, event)
    return replace(
        filters,
        languages=_distinct(one.strip().lower() for one in filters.languages),
        keywords=_distinct(filters.keywords),
        accounts=_distinct(one.strip().removeprefix("@").lower() for one in filters.accounts),
        origins=tuple(dict.fromkeys(filters.origins)),
        tags=_distinct(check_tag(one) for one in filters.tags),
    )


def _check_keywords(keywords: tuple[str, ...], event: Event) -> None:
    known = ever(event, to_ms(datetime.now(UTC)), "keywords")
    for keyword in keywords:
        selector = keyword.startswith(("from:", "box:"))  # as `matched` names accounts and boxes
        if known is not None and keyword not in known and not selector:
            raise ValueError(f"event {event.code!r} never had the keyword {keyword!r}")


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    distinct = tuple(dict.fromkeys(values))
    if "" in distinct:
        raise ValueError("a filter holds an empty value")
    return distinct


def beyond_quota(exports: Iterable[Export], who: str, now: datetime, *, in_hand: int, a_day: int) -> str | None:
    """Why a person may not ask for one more export now; None if there is no reason."""
    own = [one for one in exports if one.asked.who == who]
    pending = sum(one.state(now) in ("waiting", "running") for one in own)
    if pending >= in_hand:
        return f"{pending} exports of yours are not finished yet; at most {in_hand} at a time"
    today = sum(one.asked.at > now - timedelta(days=1) for one in own)
    if today >= a_day:
        return f"you have asked for {today} exports in the last 24 hours; at most {a_day}"
    return None


def file_name(asked: Asked) -> str:
    """Name of the file: event, moment and id say which it is."""
    network = f"-{asked.wish.network}" if asked.wish.format == "gexf" else ""
    return f"{asked.code}{network}-{asked.at:%Y%m%dT%H%M%SZ}-{asked.id[:6]}{ENDINGS[asked.wish.format]}"


def manifest_name(name: str) -> str:
    """Name of the manifest of a file."""
    return f"{name}.manifest.json"
