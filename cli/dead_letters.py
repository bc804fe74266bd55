"""`starling dead-letters`: what could not be handled, why, and the way back to `raw_tweets`."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import click
from msgspec import to_builtins

from app.domain.letters import MOST_AT_ONCE, Letter, Outcome, Replayed, kinds
from app.errors import UserError
from app.settings import Settings, settings
from cli.event_options import who
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
    found, replayed = asyncio.run(_read(settings()))
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
    found, replayed = asyncio.run(_read(settings()))
    (one,) = _named((letter_id,), found)
    value = asyncio.run(_bytes(settings(), one))
    text = value.decode("utf-8", "backslashreplace")
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
    found, replayed = asyncio.run(_read(settings()))
    if reason is None:
        chosen = _named(letter_ids, found)
    else:
        chosen = [one for one in reversed(_with(reason, found)) if one.id not in replayed][:limit]
    outcome = asyncio.run(_replay(settings(), chosen, replayed, who()))
    if as_json:
        print_json(to_builtins(outcome))
    else:
        click.echo(f"{len(outcome.sent)} sent to raw_tweets, {len(outcome.before)} had been before")
        for name, why in outcome.refused.items():
            click.echo(f"{safe(name)}: {why}", err=True)
    if outcome.refused:
        sys.exit(1)


async def _read(current: Settings) -> tuple[list[Letter], dict[str, Replayed]]:
    """The newest letters, newest first, and what was replayed. Raises Unavailable."""
    from app.clients.compacted import read_compacted  # noqa: PLC0415 - the drivers are slow to import
    from app.clients.dead_letters import read_index  # noqa: PLC0415
    from app.domain.letters import replayed  # noqa: PLC0415
    from app.topics import REPLAYED_LETTERS  # noqa: PLC0415

    index, before = await asyncio.gather(read_index(current), read_compacted(current, REPLAYED_LETTERS, replayed))
    return index.newest_first(), before


async def _bytes(current: Settings, one: Letter) -> bytes:
    from app.clients.dead_letters import read_bytes  # noqa: PLC0415 - the drivers are slow to import

    values = await read_bytes(current, [one])
    if one.id not in values:
        raise UserError(f"dead letter {one.id} is no longer kept")
    return values[one.id]


async def _replay(current: Settings, chosen: list[Letter], before: dict[str, Replayed], who: str) -> Outcome:
    from app.clients.audit import write  # noqa: PLC0415 - the drivers are slow to import
    from app.clients.dead_letters import replay  # noqa: PLC0415

    outcome = await replay(current, chosen, before, who)
    if outcome.sent:
        await write(current, who, "letters.replay", "", {"sent": len(outcome.sent), "letters": outcome.sent[:20]})
    return outcome


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
