"""`starling completion`: what a shell needs to complete commands, options and codes of events."""

from __future__ import annotations

import asyncio
from typing import Literal

import click
from click.shell_completion import CompletionItem, get_completion_class

from app.errors import UserError

SECONDS = 1.0  # a person has pressed a key and waits
Shell = Literal["bash", "zsh", "fish"]


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: Shell) -> None:
    """Print the script that has SHELL complete `starling`.

    \b
    bash:  eval "$(starling completion bash)"        in ~/.bashrc
    zsh:   eval "$(starling completion zsh)"         in ~/.zshrc, after compinit
    fish:  starling completion fish > ~/.config/fish/completions/starling.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise UserError(f"no completion for {shell}")
    root = click.get_current_context().find_root().command
    click.echo(kind(root, {}, "starling", "_STARLING_COMPLETE").source())


def event_codes(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Codes of events that begin so; none where they cannot be had at once. Whoever types must not see why."""
    try:
        with context.scope(cleanup=False):  # by which the options before the command are known
            return asyncio.run(_codes(incomplete))
    except Exception:  # whatever it is, it would be written into the line that somebody types
        return []


async def _codes(incomplete: str) -> list[CompletionItem]:
    from cli.service import service  # noqa: PLC0415 - only where somebody completes

    async with asyncio.timeout(SECONDS):
        events = await service().events()
    found = [one for one in events.values() if one.code.startswith(incomplete) and one.status != "deleted"]
    return [CompletionItem(one.code, help=one.name) for one in sorted(found, key=lambda one: one.code)]
