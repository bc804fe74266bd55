"""Events as YAML: for people to read, keep under version control, and bring to another Starling.

Read strictly: what is not known is an error, and so are a key that is there twice and an alias, by which a small file
can mean a huge one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import datetime
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from app.domain.codes import check_code
from app.domain.events import Box, Definition, Event, Policy

MOST_BYTES = 512 * 1024
MOST_EVENTS = 1000
MOST_DEPTH = 8


class Written(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An event in a file. Fields that are not there are not changed where the event exists."""

    code: str
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

    @property
    def definition(self) -> Definition:
        """What it says, checked. Raises ValueError."""
        given = {name: getattr(self, name) for name in Definition.__struct_fields__}
        return Definition(**given).checked()


class File(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of a file."""

    events: tuple[Written, ...]


def write(events: Iterable[Event]) -> str:
    """A file of events, without their history."""
    listed = [_plain(event) for event in events]
    return str(yaml.dump({"events": listed}, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=100))


def _plain(event: Event) -> dict[str, Any]:
    fields = {name: getattr(event, name) for name in Written.__struct_fields__}
    return {
        name: [list(one) if isinstance(one, tuple) else one for one in value] if isinstance(value, tuple) else value
        for name, value in fields.items()
        if value not in ((), None, False)
    }


def read(file: bytes | str) -> list[Written]:
    """The events of a file. Raises ValueError, in words for its writer."""
    try:
        text = file if isinstance(file, str) else file.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("this is no text in UTF-8") from None
    try:
        _check_events(text)
        found = msgspec.convert(_loaded(text), File)
    except yaml.MarkedYAMLError as wrong:
        where = f"line {wrong.problem_mark.line + 1}: " if wrong.problem_mark else ""
        raise ValueError(f"this is no YAML: {where}{wrong.problem or wrong.context}") from None
    except (yaml.YAMLError, UnicodeEncodeError) as wrong:
        raise ValueError(f"this is no YAML: {str(wrong).splitlines()[0]}") from None
    except msgspec.ValidationError as wrong:
        if " - at " not in str(wrong):
            raise ValueError("a file of events begins with `events:`, and a list of them") from None
        quotes = "; put it in quotes" if "Expected `str`" in str(wrong) else ""
        raise ValueError(f"{wrong}{quotes}") from None
    if len(found.events) > MOST_EVENTS:
        raise ValueError(f"{len(found.events)} events; at most {MOST_EVENTS} at once")
    seen: set[str] = set()
    for one in found.events:
        if check_code(one.code) in seen:
            raise ValueError(f"event {one.code!r} is there twice")
        seen.add(one.code)
    return list(found.events)


def _loaded(text: str) -> object:
    try:
        return yaml.load(text, _Strict)  # noqa: S506 -- a safe loader's heir
    except (yaml.YAMLError, UnicodeEncodeError):
        raise
    except (LookupError, AttributeError, TypeError, ValueError):  # how PyYAML takes what a tag or a form does not fit
        raise ValueError("this is no YAML: a value is not what it looks like; put texts in quotes") from None


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _at(event, "aliases are not taken")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise _at(event, "this is nested too deep")


def _at(event: yaml.Event, what: str) -> ValueError:
    return ValueError(f"line {event.start_mark.line + 1}: {what}" if event.start_mark else what)


class _Strict(yaml.CSafeLoader):
    """Refuses a key that is there twice, of which the last would count."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, "a key that is no text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is there twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=True)
