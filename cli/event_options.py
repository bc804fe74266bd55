"""What people type about an event, read into a Definition. Raises ValueError, in words for who typed it."""

from __future__ import annotations

import getpass
import os
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, TypeAlias

import click
import msgspec

from app.domain.events import Box, Definition, Event
from app.domain.keywords import Keyword, Term, parse_keyword, split_keywords
from app.domain.rematch import unasked_since

Note: TypeAlias = Callable[[str], None]

CLEARABLE = ("keywords", "accounts", "boxes", "languages", "start", "end")
_NOW = re.compile(r"now(?:([+-]\d{1,6})([smhdw]))?")
_LENGTH = re.compile(r"\d{1,6}[smhdw]")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def who() -> str:
    """The person at work: $STARLING_USER, else the login name."""
    if named := os.environ.get("STARLING_USER", "").strip():
        return named
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "unknown"


def read_keywords(file: BinaryIO) -> tuple[str, ...]:
    """Keywords of `--keywords-file`: one a line."""
    found: dict[tuple[Term, ...], tuple[str, int]] = {}
    for number, line in enumerate(file.read().removeprefix(BOM_UTF8).splitlines(), 1):
        where = f"{file.name}, line {number}"
        keyword = _keyword_of(line, where)
        if keyword is None:
            continue
        if twin := found.get(keyword.terms):
            raise ValueError(f"{where}: keyword {keyword.text!r} is the same as {twin[0]!r} in line {twin[1]}")
        found[keyword.terms] = keyword.text, number
    if not found:
        raise ValueError(f"{file.name} holds no keyword")
    return tuple(text for text, _ in found.values())


def _keyword_of(line: bytes, where: str) -> Keyword | None:
    """What a line says; None of a blank one and of a comment, which # cannot begin, as it begins a hashtag."""
    try:
        text = line.decode().strip()
        return parse_keyword(text) if text and not text.startswith("//") else None
    except UnicodeDecodeError:
        raise ValueError(f"{where}: this is no text in UTF-8") from None
    except ValueError as wrong:
        raise ValueError(f"{where}: {wrong}") from None


def split_list(typed: Iterable[str]) -> tuple[str, ...]:
    """Items of options such as `--language en,es`."""
    return tuple(part.strip() for text in typed for part in text.split(","))


def parse_box(text: str) -> Box:
    """A box from W,S,E,N."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"box {text!r} is not four numbers west,south,east,north in degrees") from None
    return west, south, east, north


def parse_time(text: str, name: str, now: datetime, note: Note, *, past: bool = False) -> datetime:
    """A moment from ISO 8601, or `now+2h`; one without a zone is local, which `note` is told.

    Where a `past` one is asked for, a length of time alone (`2h`) is that long ago.
    """
    try:
        if relative := _NOW.fullmatch(f"now-{text}" if past and _LENGTH.fullmatch(text) else text):
            amount, unit = relative.groups()
            return now + timedelta(**{_UNITS[unit]: int(amount)}) if unit else now
        at = datetime.fromisoformat(text)
        local = at.astimezone()
    except (ValueError, OverflowError):
        relative_form = "2h (ago)" if past else "now+2h"
        raise ValueError(
            f"{name} {text!r} is no time: write 2026-05-01T18:00Z, 2026-05-01T18:00+02:00 or {relative_form}"
        ) from None
    if at.tzinfo is None:
        note(f"{name} is read as local time: {local.isoformat(timespec='seconds')}")
    return local.astimezone(UTC)


def past_time(typed: str | None, name: str) -> datetime | None:
    """A past moment where one was typed; that it is read as local is said. Raises ValueError."""
    if typed is None:
        return None
    return parse_time(typed, name, datetime.now(UTC), lambda text: click.echo(text, err=True), past=True)


def is_relative(text: str) -> bool:
    """Whether a past moment was typed that depends on when it is read, as 2h does."""
    return bool(_LENGTH.fullmatch(text) or _NOW.fullmatch(text))


def parse_since(text: str, name: str, now: datetime, note: Note) -> datetime | None:
    """A past moment from `2h`, or a time; None of `none`."""
    if text == "none":
        return None
    return parse_time(text, name, now, note, past=True)


def rematch_of_new(typed: str | None, *, begins: bool, start: datetime | None, note: Note) -> datetime | None:
    """Since when an event hears the past: as typed, else what is heard unasked, if it begins now for the first time."""
    now = datetime.now(UTC)
    if typed is not None:
        return parse_since(typed, "--rematch", now, note)
    return unasked_since(now, start) if begins else None


def definition(
    *,
    name: str | None,
    keywords: Sequence[str],
    keywords_file: BinaryIO | None,
    accounts: Sequence[str],
    boxes: Sequence[str],
    languages: Sequence[str],
    start: str | None,
    end: str | None,
    deletions: str | None = None,
    hot: bool | None = None,
    note: Note,
    clear: Sequence[str] = (),
) -> Definition:
    """The checked definition that the options describe; what is not given stays unset."""
    now = datetime.now(UTC)
    listed = read_keywords(keywords_file) if keywords_file else ()
    given: dict[str, Any] = {field: None if field in ("start", "end") else () for field in clear}
    options: dict[str, tuple[object, Callable[[], object]]] = {
        "name": (name, lambda: name),
        "keywords": ((*keywords, *listed), lambda: (*split_keywords(keywords), *listed)),
        "accounts": (accounts, lambda: split_list(accounts)),
        "boxes": (boxes, lambda: tuple(parse_box(box) for box in boxes)),
        "languages": (languages, lambda: split_list(languages)),
        "start": (start, lambda: parse_time(start or "", "--start", now, note)),
        "end": (end, lambda: parse_time(end or "", "--end", now, note)),
        "deletions": (deletions, lambda: deletions),
        "hot": (hot, lambda: hot),
    }
    for field, (typed, read) in options.items():
        if typed is None or typed == ():
            continue
        if field in clear:
            raise ValueError(f"--clear {field} and a new value for it exclude each other")
        given[field] = read()
    return Definition(**given).checked()


def with_keywords(event: Event, add: Sequence[str], remove: Sequence[str]) -> tuple[str, ...]:
    """The event's keywords after additions and removals."""
    keywords = {parse_keyword(keyword).terms: keyword for keyword in event.keywords}
    for text in split_keywords(remove):
        if keywords.pop(parse_keyword(text).terms, None) is None:
            raise ValueError(f"event {event.code!r} has no keyword {text!r}")
    added = (*keywords.values(), *split_keywords(add))
    checked = Definition(keywords=added).checked().keywords
    assert checked is not msgspec.UNSET  # noqa: S101 -- it was given
    return checked
