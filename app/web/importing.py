"""Brings the events of a file in: all of it is checked first, then a command for each."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from app.clients.event_commands import new_command
from app.domain import yamls
from app.domain.importing import Step, steps
from app.errors import Unavailable
from app.web.problems import Failed
from app.web.routes import Asked

_AT_ONCE = 16  # commands


async def planned(asked: Asked, body: bytes, why: str, *, begin: bool) -> list[Step]:
    """What is to be done for each event of the file. Raises Failed."""
    try:
        written = await asyncio.to_thread(lambda: yamls.read(body.decode("utf-8-sig")))
    except ValueError as wrong:
        raise Failed(422, str(wrong), reason="invalid") from None
    template = new_command("edit", "", asked.caller.name, why)
    return steps(written, asked.desk.views.events.view.items, asked.caller, template, begin=begin)


async def bring(asked: Asked, planned: list[Step]) -> list[Step]:
    """Do it, unless something of it is refused; what became of each. Raises Unavailable where nothing was done."""
    if any(step.fate == "refused" for step in planned):
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
    asked.detail["events"] = [f"{step.code}: {step.fate}" for step in done if step.command is not None][:100]
    if away and all(step.fate in ("refused", "same") for step in done):
        raise away[0]
    return done
