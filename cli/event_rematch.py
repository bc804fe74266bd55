"""How the rematch of an event looks on a terminal: what was asked for, how far it is, what it cannot hear."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime

import click

from app.clients.rematches import follow, read_progress
from app.domain.events import Event
from app.domain.rematch import Progress
from app.errors import UserError
from app.settings import Settings
from cli.terminal import moment, print_json, safe, waiting


def promise(code: str, since: datetime | None) -> str:
    """What is said of a rematch that was asked for, after something else."""
    if since is None:
        return ""
    return f"; it hears what was said since {moment(since)} too (`starling event show {code}`)"


def progress_of(settings: Settings, event: Event) -> Progress | None:
    """How far the rematch of an event is, if one was asked for and has begun. Raises Unavailable."""
    found = asyncio.run(read_progress(settings, event.code)) if event.rematches else None
    return found if found is not None and found.born == event.born else None


def lines(event: Event, progress: Progress | None) -> Iterator[str]:
    """About the rematches of an event."""
    if progress is not None:
        yield from described(progress)
    if event.rematches and (progress is None or progress.version < event.rematches[-1].version):
        yield f"asked for since {moment(event.rematches[-1].since)}; the manager has not begun it"


def described(progress: Progress) -> Iterator[str]:
    """How far a rematch is, and why it hears less than its people may expect."""
    yield _headline(progress)
    if progress.kept_since is not None:
        yield f"raw posts are kept since {moment(progress.kept_since)}: what was said before is gone"
    if progress.only_x:
        yield (
            "the raw posts are from X alone, which sent what the rules of that time asked for: posts that only new "
            "keywords match are not among them. X's recent search finds these (STARLING_X_SEARCH), and a Bluesky "
            "Jetstream replays its last days whole (STARLING_SOURCES=bluesky)"
        )


def watch(settings: Settings, code: str, version: int, *, as_json: bool) -> None:
    """Show a rematch until it is over; Ctrl-C leaves it running. Raises UserError where it ended before its time."""
    with waiting(f"hearing the past of {code}"):
        try:
            last = asyncio.run(_follow(settings, code, version, as_json=as_json))
        except KeyboardInterrupt:
            click.echo(f"starling: not waiting any longer; it goes on (`starling event show {code}`)", err=True)
            raise
    if as_json:
        print_json(last)
    else:
        click.echo("\n".join(safe(line) for line in described(last)))
    if last.state == "ended":
        raise UserError(f"the rematch of {code} ended before its time: {last.why}")


async def _follow(settings: Settings, code: str, version: int, *, as_json: bool) -> Progress:
    last: Progress | None = None
    async for progress in follow(settings, code, version):
        if not as_json and not progress.over and (last is None or _tenth(last) != _tenth(progress)):
            click.echo(safe(_headline(progress)), err=True)
        last = progress
    assert last is not None  # noqa: S101 -- `follow` ends with one that is over
    return last


def _headline(progress: Progress) -> str:
    told = f"since {moment(progress.since)}: {progress.posts:,} posts read, {progress.matched:,} match"
    share = f"{progress.records_done / progress.records_all:.0%}" if progress.records_all else "0 %"
    if progress.state == "done":
        return f"done, {told}"
    if progress.state == "ended":
        return f"ended before its time, {told}: {progress.why}"
    return f"{share}, {told}" + ("; waits while the workers are busy" if progress.state == "waiting" else "")


def _tenth(progress: Progress) -> tuple[str, int]:
    return progress.state, 10 * progress.records_done // max(1, progress.records_all)
