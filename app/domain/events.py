"""What an event is: its definition, its states, and one record of every change.

`decisions.py` says which command may change it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import Struct

from app.domain.keywords import parse_keyword
from app.domain.moments import in_utc
from app.domain.partitioning import BucketRule
from app.domain.people import check_name

Status: TypeAlias = Literal["draft", "scheduled", "active", "paused", "stopped", "archived", "deleted", "purging"]
# What becomes of posts that their source takes back (app.domain.retracting).
Policy: TypeAlias = Literal["drop", "redact", "hold"]
# West, south, east, north in degrees; west > east crosses the antimeridian.
Box: TypeAlias = tuple[float, float, float, float]

POLICIES: tuple[Policy, ...] = get_args(Policy)
MAX_NAME = 200
MAX_OWNERS = 100
MAX_SELECTORS = 1000  # keywords, accounts and boxes of one event, together
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # what follows, until one ends it
# Letters that look like nothing at all: fillers of Hangul, and the blank of Braille.
_UNSEEN = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_ACCOUNT = re.compile(r"[\w.:-]{1,253}")


class Change(Struct, frozen=True, kw_only=True):
    """One line of an event's history."""

    version: int
    at: datetime
    who: str
    action: str
    why: str = ""
    changed: dict[str, tuple[Any, Any]] = {}  # field -> from, to
    command: str = ""  # id of the command that made it


class Rematch(Struct, frozen=True, omit_defaults=True):
    """A wish that an event hear what was said since a moment; named by the version at which it was made."""

    version: int
    since: datetime
    source: str = ""  # that is asked for the past itself, one of `rematch.PAST_SOURCES`; else what is kept is heard


class Event(Struct, frozen=True, kw_only=True):
    """An event as it stands in the `events` topic: whole, at one version.

    Keywords OR accounts OR boxes select a post; languages, where given, restrict (AND).
    """

    code: str
    name: str
    keywords: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()  # screen names in lower case without @, or ids
    boxes: tuple[Box, ...] = ()
    languages: tuple[str, ...] = ()
    status: Status = "draft"
    start: datetime | None = None  # when a scheduled event becomes active
    end: datetime | None = None  # when an active event stops
    version: int = 1
    buckets: tuple[BucketRule, ...] = ()  # append-only, see partitioning
    deletions: Policy = "drop"  # of posts that their source takes back
    hot: bool = False  # much is expected of it: the cluster may give its workers more room
    owners: tuple[str, ...] = ()  # people who may also delete it and say who owns it; first whoever created it
    rematches: tuple[Rematch, ...] = ()  # the last few wishes, in order; `rematch` says what became of them
    history: tuple[Change, ...] = ()

    @property
    def collecting(self) -> bool:
        """Whether posts are classified for it now."""
        return self.status == "active"

    @property
    def born(self) -> int:
        """The version that created it: what was classified before belongs to a purged event of the same code.

        0 for an event that something else than a command has written: nothing of it is taken for purged.
        """
        first = self.history[0] if self.history else None
        return first.version if first is not None and first.action == "create" else 0

    @property
    def keyword_text(self) -> str:
        """The thesis's `event_kw`: all keywords, joined by a comma and a blank."""
        return ", ".join(self.keywords)


def box_text(box: Iterable[object]) -> str:
    """The edges of a box, or what a history has of one, as they are typed: none is rounded."""
    return ", ".join(str(edge).removesuffix(".0") for edge in box)


class Definition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person may write of an event; a field left UNSET is not changed by an edit."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    keywords: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    accounts: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    boxes: tuple[Box, ...] | msgspec.UnsetType = msgspec.UNSET
    languages: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    start: datetime | msgspec.UnsetType | None = msgspec.UNSET
    end: datetime | msgspec.UnsetType | None = msgspec.UNSET
    deletions: Policy | msgspec.UnsetType = msgspec.UNSET
    hot: bool | msgspec.UnsetType = msgspec.UNSET
    owners: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET

    def checked(self) -> Definition:
        """The definition with each field in its canonical form. Raises ValueError, in words for its writer."""
        return Definition(**{name: _CHECKS[name](value) for name, value in self.given().items()})

    def given(self) -> dict[str, object]:
        """The fields that are set."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not msgspec.UNSET}


def check_selects(event: Event) -> None:
    """Raise ValueError if nothing selects a post, the selectors are too many, or the period ends before it starts."""
    count = len(event.keywords) + len(event.accounts) + len(event.boxes)
    if count == 0:
        raise ValueError("an event needs at least one keyword, account or box")
    if count > MAX_SELECTORS:
        raise ValueError(f"{count} keywords, accounts and boxes; at most {MAX_SELECTORS}")
    if event.start and event.end and event.end <= event.start:
        raise ValueError("the end is not after the start")


def _is_seen(char: str) -> bool:
    """Whether it shows by itself: what controls, separates or only adorns a letter does not."""
    return char not in _UNSEEN and unicodedata.category(char)[0] not in "CZM"


def _name(value: str) -> str:
    name = " ".join(value.split())
    if not name:
        raise ValueError("the name is blank")
    if not any(_is_seen(char) for char in name):
        raise ValueError("the name has nothing that can be seen")
    if any(unicodedata.category(char) == "Cc" for char in name):
        raise ValueError(f"the name {name[:30]!r} holds a control character")
    if turning := _TURNING.intersection(name):
        raise ValueError(f"the name {name[:30]!r} holds U+{ord(min(turning)):X}, which turns text around")
    if len(name) > MAX_NAME:
        raise ValueError(f"the name has {len(name)} characters; at most {MAX_NAME}")
    return name


def _keywords(values: tuple[str, ...]) -> tuple[str, ...]:
    seen: dict[tuple[object, ...], str] = {}
    for value in values:
        keyword = parse_keyword(value)
        if (twin := seen.get(keyword.terms)) is not None:
            raise ValueError(f"keyword {value!r} is the same as {twin!r}")
        seen[keyword.terms] = keyword.text
    return tuple(seen.values())


def _accounts(values: tuple[str, ...]) -> tuple[str, ...]:
    accounts = [value.strip().removeprefix("@").lower() for value in values]
    for account, value in zip(accounts, values, strict=True):
        if not _ACCOUNT.fullmatch(account):
            raise ValueError(f"account {value!r} is neither a screen name nor an id")
    return tuple(dict.fromkeys(accounts))


def _boxes(values: tuple[Box, ...]) -> tuple[Box, ...]:
    boxes: dict[Box, None] = {}
    for west, south, east, north in values:
        if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90) or west == east:
            raise ValueError(f"box {west},{south},{east},{north} is not west,south,east,north in degrees")
        boxes[float(west), float(south), float(east), float(north)] = None
    return tuple(boxes)


def _languages(values: tuple[str, ...]) -> tuple[str, ...]:
    languages = [value.strip().lower() for value in values]
    for language in languages:
        if not _LANGUAGE.fullmatch(language):
            raise ValueError(f"language {language!r} is not a code such as en, pt-br or und")
    return tuple(dict.fromkeys(languages))


def _moment(value: datetime | None) -> datetime | None:
    return None if value is None else in_utc(value)


def _policy(value: str) -> str:
    if value not in POLICIES:
        raise ValueError(f"{value!r} is none of {', '.join(POLICIES)}")
    return value


def _owners(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(values) > MAX_OWNERS:
        raise ValueError(f"{len(values)} owners; at most {MAX_OWNERS}")
    return tuple(dict.fromkeys(check_name(value) for value in values))


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "keywords": _keywords,
    "accounts": _accounts,
    "boxes": _boxes,
    "languages": _languages,
    "start": _moment,
    "end": _moment,
    "deletions": _policy,
    "hot": bool,
    "owners": _owners,
}
