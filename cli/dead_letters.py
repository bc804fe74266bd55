"""`starling dead-letters`: what could not be handled, why, and the way back to `raw_tweets`."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import click
from msgspec import to_builtins

from app.domain.letters import MOST_AT_ONCE, Letter, Replayed, kinds
from app.errors import UserError
from cli.service import service
from cli.terminal import cell, moment, prepare, print_json, print_table, safe

_reason = click.option("--reason", metavar="TEXT", help="Only those whose reason holds this text.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def dead_letters() -> None:
    """Look at what could not be handled, and send it once more."""
    prepare()


@dead_letters.command("list")
@_reason
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@_json
def list_(reason: str | None, limit: int, as_json: bool) -> None:
    """List the newest dead letters, and how many there are of each reason."""
    found, replayed = asyncio.run(service().letters())
    chosen = _with(reason, found)
    counted = kinds(chosen)
    shown = chosen[:limit]
    if as_json:
        letters = [_plain(one, replayed) for one in shown]
        print_json({"letters": letters, "reasons": [{"reason": kind, "letters": count} for kind, count in counted]})
    elif not chosen:
        click.echo("no dead letters")
    else:
        print_table(("letters", "reason"), ((cell(str(count)), cell(kind)) for kind, count in counted))
        print_table(
            ("id", "at", "bytes", "reason", "replayed"),
            (
                (
                    cell(one.id),
                    cell(moment(_time(one.at))),
                    cell(f"{one.size:,}"),
                    cell(one.reason),
                    cell(_marked(replayed.get(one.id))),
                )
                for one in shown
            ),
        )


@dead_letters.command()
@click.argument("letter_id", metavar="ID")
@_json
def show(letter_id: str, as_json: bool) -> None:
    """Show a dead letter with its bytes."""
    found, replayed = asyncio.run(service().letters())
    (one,) = _named((letter_id,), found)
    text = asyncio.run(service().open_letter(one))
    if as_json:
        print_json(_plain(one, replayed) | {"bytes": text})
        return
    click.echo(f"{safe(one.id)}: {safe(one.reason)}", err=True)
    for line in text.split("\n"):
        click.echo(safe(line))


@dead_letters.command()
@click.argument("letter_ids", metavar="[ID]…", nargs=-1)
@_reason
@click.option("--limit", type=click.IntRange(1, MOST_AT_ONCE), default=100, show_default=True, help="By --reason.")
@_json
def replay(letter_ids: tuple[str, ...], reason: str | None, limit: int, as_json: bool) -> None:
    """Send dead letters to the raw topic once more: those named, or the oldest of a --reason."""
    if bool(letter_ids) == (reason is not None):
        raise click.UsageError("name either letters or a --reason")
    found, replayed = asyncio.run(service().letters())
    if reason is None:
        chosen = _named(letter_ids, found)
    else:
        chosen = [one for one in reversed(_with(reason, found)) if one.id not in replayed][:limit]
    outcome = asyncio.run(service().replay_letters(chosen, replayed))
    if as_json:
        print_json(to_builtins(outcome))
    else:
        click.echo(f"{len(outcome.sent)} sent to raw_tweets, {len(outcome.before)} had been before")
        for name, why in outcome.refused.items():
            click.echo(f"{safe(name)}: {why}", err=True)
    if outcome.refused:
        sys.exit(1)


def _with(reason: str | None, letters: list[Letter]) -> list[Letter]:
    return [one for one in letters if reason is None or reason in one.reason]


def _named(names: tuple[str, ...], letters: list[Letter]) -> list[Letter]:
    known = {one.id: one for one in letters}
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"there is no dead letter {unknown[0]!r}; `starling dead-letters list` shows the newest")
    return [known[name] for name in dict.fromkeys(names)]


def _plain(one: Letter, replayed: dict[str, Replayed]) -> dict[str, object]:
    mark = replayed.get(one.id)
    told: dict[str, object] = to_builtins(one) | {"at": _time(one.at).isoformat()}
    return told | {"replayed": None if mark is None else {"at": _time(mark.at).isoformat(), "who": mark.who}}


def _marked(mark: Replayed | None) -> str:
    return "" if mark is None else f"{moment(_time(mark.at))} by {mark.who}"


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
