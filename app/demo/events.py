"""Events of a demo, made and edited as `starling event` does. All raise UserError, Unavailable."""

from __future__ import annotations

from collections.abc import Sequence

from app.clients.event_commands import Commander, commander, new_command, read_events
from app.demo.plan import WHO
from app.domain.codes import code_of
from app.domain.decisions import Command
from app.domain.events import Definition, Event
from app.errors import UserError
from app.settings import Settings


async def create(settings: Settings, definitions: Sequence[Definition], rate: float) -> dict[str, Event]:
    """Create events that expect so many posts a second each; by code."""
    codes = [code_of(str(definition.name)) for definition in definitions]
    async with commander(settings) as sender:
        for code, definition in zip(codes, definitions, strict=True):
            await _carry_out(sender, new_command("create", code, WHO, definition=definition, expected_rate=rate))
    found = await read_events(settings)
    return {code: found[code] for code in codes}


async def add_keyword(settings: Settings, event: Event, keyword: str) -> None:
    """Add a keyword to an event."""
    definition = Definition(keywords=(*event.keywords, keyword))
    async with commander(settings) as sender:
        await _carry_out(sender, new_command("edit", event.code, WHO, definition=definition))


async def _carry_out(sender: Commander, command: Command) -> None:
    await sender.send(command)
    answer = await sender.answer(command)
    if not answer.accepted:
        raise UserError(f"event {command.code} was refused: {answer.message}")
