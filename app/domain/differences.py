"""What differs between two versions of an event, field by field, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from app.domain.events import box_text

_LISTS = ("keywords", "accounts", "boxes", "languages", "owners")


class Difference(Struct, frozen=True, kw_only=True):
    """A field: of a list what came and what went, of anything else what it was and is."""

    field: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    was: str = ""
    now: str = ""
    listed: bool = False


def differences(changed: Mapping[str, tuple[Any, Any]]) -> list[Difference]:
    """Of a change's fields, each with what it was and is, as the history has them."""
    return [_difference(field, was, now) for field, (was, now) in changed.items()]


def between(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Difference]:
    """What of mine is otherwise in theirs, which may have more fields: added is mine alone, removed theirs alone."""
    return [
        _difference(field, theirs[field], value)
        for field, value in mine.items()
        if field in theirs and _said(theirs[field]) != _said(value)
    ]


def _difference(field: str, was: Any, now: Any) -> Difference:
    if field not in _LISTS:
        return Difference(field=field, was=_text(was), now=_text(now))
    before, after = [_text(one) for one in was or ()], [_text(one) for one in now or ()]
    had, has = set(before), set(after)
    return Difference(
        field=field,
        listed=True,
        added=tuple(one for one in after if one not in had),
        removed=tuple(one for one in before if one not in has),
    )


def _said(value: Any) -> Any:
    return [_text(one) for one in value] if isinstance(value, list | tuple) else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return box_text(value) if isinstance(value, list | tuple) else str(value)
