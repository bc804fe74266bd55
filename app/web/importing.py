"""Brings the events of a file in: all of it is checked first, then a command for each."""

from __future__ import annotations

import asyncio

from msgspec import UNSET
from msgspec.structs import replace

from app.clients.event_commands import new_command
from app.domain import yamls
from app.domain.importing import Step, steps
from app.errors import NotDone, Unavailable
from app.web.owning import stranger_among
from app.web.problems import Failed
from app.web.routes import Asked

_AT_ONCE = 16  # commands


async def planned(asked: Asked, body: bytes, why: str, *, begin: bool) -> list[Step]:
    """What is to be done for each event of the file. Raises Failed."""
    if len(body) > yamls.MOST_BYTES:
        raise Failed(413, f"more than {yamls.MOST_BYTES:,} bytes")
    template = new_command("edit", "", asked.caller.name, why)
    known = dict(asked.desk.views.events.view.items)  # as it stands now, for another thread

    def look() -> list[Step]:
        return steps(yamls.read(body), known, asked.caller, template, begin=begin)

    try:
        found = await asyncio.to_thread(look)
    except ValueError as wrong:
        raise Failed(422, str(wrong), reason="invalid") from None
    return [_without_strangers(asked, step) for step in found]


def _without_strangers(asked: Asked, step: Step) -> Step:
    """The step, refused where it names an owner whom nobody knows."""
    owners = step.command.definition.owners if step.command is not None else UNSET
    current = asked.desk.views.events.view.items.get(step.code)
    standing = current.owners if current is not None else ()
    why = "" if owners is UNSET else stranger_among(asked.desk, owners, standing)
    return Step(step.code, "refused", why) if why else step


async def bring(asked: Asked, planned: list[Step]) -> list[Step]:
    """Do it, unless something of it is refused; what became of each.

    Raises Unavailable where no event is known to be brought in, NotDone where none is.
    """
    if any(step.fate == "refused" for step in planned):
        _tell_refused(asked, planned)
        return planned
    places = asyncio.Semaphore(_AT_ONCE)
    away: list[Unavailable] = []

    async def one(step: Step) -> Step:
        if step.command is None:
            return step
        async with places:
            try:
                await asked.desk.carry_out(step.command)
            except (Failed, Unavailable) as wrong:
                away.extend([wrong] if isinstance(wrong, Unavailable) else [])
                return replace(step, fate="refused", why=str(wrong))
        return step

    done = list(await asyncio.gather(*(one(step) for step in planned)))
    _tell_refused(asked, done)
    asked.detail["events"] = [f"{step.code}: {step.fate}" for step in done if step.command is not None][:100]
    if away and all(step.fate in ("refused", "same") for step in done):
        raise next((one for one in away if not isinstance(one, NotDone)), away[0])
    return done


def _tell_refused(asked: Asked, steps: list[Step]) -> None:
    refused = [step for step in steps if step.fate == "refused"]
    if refused:
        asked.refused = f"{len(refused)} of {len(steps)} are refused; {refused[0].code}: {refused[0].why}"
