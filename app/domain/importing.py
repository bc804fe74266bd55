"""What becomes of the events of a file: which are created, which edited, which cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from app.domain.decisions import Command, Refused, decide
from app.domain.events import Event
from app.domain.people import Caller, Right
from app.domain.yamls import Written

Fate: TypeAlias = Literal["create", "edit", "same", "refused"]


class Step(Struct, frozen=True):
    """What is to be done for an event of a file, and the command that does it."""

    code: str
    fate: Fate
    why: str = ""  # it is refused
    changes: tuple[str, ...] = ()  # fields that an edit changes
    command: Command | None = None


def steps(
    written: Iterable[Written], known: Mapping[str, Event], caller: Caller, template: Command, *, begin: bool
) -> list[Step]:
    """What is to be done for each. `template` is a command of the caller's: who, when and why.

    New events are drafts unless they are to begin.
    """
    return [_step(one, known.get(one.code), caller, template, begin=begin) for one in written]


def _step(one: Written, current: Event | None, caller: Caller, template: Command, *, begin: bool) -> Step:
    try:
        definition = one.definition
        if current is None:
            _check(caller, Right.CREATE)
            command = _command(template, one, action="create", definition=definition, draft=not begin)
            decide(command, None)
            return Step(one.code, "create", command=command)
        _check(caller, Right.CHANGE, current.owners)
        given = definition.given()
        changed = tuple(name for name, value in given.items() if value != getattr(current, name))
        if not changed and current.status != "deleted":
            return Step(one.code, "same")
        if "owners" in changed:
            _check(caller, Right.OWN, current.owners)
        command = _command(template, one, action="edit", definition=definition, expected_version=current.version)
        decide(command, current)
    except (ValueError, Refused) as wrong:
        return Step(one.code, "refused", str(wrong))
    return Step(one.code, "edit", changes=changed, command=command)


def _command(template: Command, one: Written, **rest: Any) -> Command:
    return msgspec.structs.replace(template, id=f"{template.id}-{one.code}", code=one.code, **rest)


def _check(caller: Caller, right: Right, owners: tuple[str, ...] = ()) -> None:
    if not caller.may(right, owners):
        raise ValueError(f"{caller.name} may not do this")
