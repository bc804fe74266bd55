"""How the rematch of an event looks on a terminal: what was asked for, how far it is, what it cannot hear."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING

import click

from app.domain.events import Event, Rematch
from app.domain.rematch import Progress, kept_wishes
from app.domain.wishes import Heard, heard_by, source_wishes
from app.errors import UserError
from cli.terminal import moment, print_json, safe, waiting

if TYPE_CHECKING:
    from cli.service import Service

SAY_SECONDS = 2.0  # between two lines about a source that is asked


def promise(code: str, since: datetime | None, source: str = "") -> str:
    """What is said of a rematch that was asked for, after something else."""
    if since is None:
        return ""
    whose = f" from {source}" if source else ""
    return f"; it hears what was said since {moment(since)}{whose} too (`starling event show {code}`)"


async def progress_of(service: Service, event: Event) -> Progress | None:
    """How far the rematch of an event is, if one was asked for and has begun. Raises Unavailable."""
    found = await service.progress(event.code) if kept_wishes(event) else None
    return found if found is not None and found.born == event.born else None


async def heard_from(service: Service, event: Event) -> list[Heard]:
    """How far sources are that were asked for the past of an event. Raises Unavailable."""
    return await service.heard(event) if source_wishes(event) else []


def lines(event: Event, progress: Progress | None, asked: Iterable[Heard]) -> Iterator[str]:
    """About the rematches of an event, and what sources were asked for."""
    if progress is not None:
        yield from described(progress)
    kept = kept_wishes(event)
    if kept and (progress is None or progress.version < kept[-1].version):
        yield f"asked for since {moment(kept[-1].since)}; the manager has not begun it"
    for one in asked:
        yield from heard_lines(one)


def described(progress: Progress) -> Iterator[str]:
    """How far a rematch is, and why it hears less than its people may expect."""
    yield _headline(progress)
    if progress.kept_since is not None:
        yield f"raw posts are kept since {moment(progress.kept_since)}: what was said before is gone"
    if progress.only_chosen:
        yield (
            "the raw posts are only those that events of that time asked for: what only new keywords match is not "
            f"there. `starling event rematch {progress.code} --source bluesky` has a Jetstream replay its last days, "
            "`--source x` asks X's recent search (STARLING_X_SEARCH)"
        )


def heard_lines(one: Heard) -> Iterator[str]:
    """How far a source is with what it was asked for, and where its past begins."""
    told = f"since {moment(one.since)} from {one.source}"
    found = f"{told}: {one.posts:,} posts found"
    if one.state == "asked":
        yield f"asked for {told}; no tracker has begun it"
    elif one.state == "refused":
        yield f"not heard {told}: {one.why}"
    elif one.state == "done":
        yield f"done, {found}" + (f"; not all is stored: {one.why}" if one.why else "")
    else:
        reached = f", up to {moment(one.reached)}" if one.reached else ""
        yield f"{found}{reached}" + (f"; waits: {one.why}" if one.state == "waiting" else "")
    if one.begins is not None:
        yield f"{one.source} reaches back to {moment(one.begins)}: what was said before is gone"


def watch_source(service: Service, wish: Rematch, code: str, *, as_json: bool) -> None:
    """Show what a source finds until that is over; Ctrl-C leaves it running. Raises UserError where it is refused."""
    with waiting(f"hearing the past of {code} from {wish.source}"):
        try:
            last = asyncio.run(_follow_source(service, wish, code, as_json=as_json))
        except KeyboardInterrupt:
            _goes_on(code)
            raise
    if last.state == "refused":
        raise UserError(f"{wish.source} is not asked for the past of {code}: {last.why}")
    if as_json:
        print_json(last)
    else:
        click.echo("\n".join(safe(line) for line in heard_lines(last)))


async def _follow_source(service: Service, wish: Rematch, code: str, *, as_json: bool) -> Heard:
    said, shown = "", 0.0
    last = heard_by(wish, None)
    async for last in service.follow_source(wish, code):
        line = next(heard_lines(last))
        if not as_json and last.state in ("running", "waiting") and line != said and monotonic() - shown >= SAY_SECONDS:
            said, shown = line, monotonic()
            click.echo(safe(line), err=True)
    return last


def _goes_on(code: str) -> None:
    click.echo(f"starling: not waiting any longer; it goes on (`starling event show {code}`)", err=True)


def watch(service: Service, code: str, version: int, *, as_json: bool) -> None:
    """Show a rematch until it is over; Ctrl-C leaves it running. Raises UserError where it ended before its time."""
    with waiting(f"hearing the past of {code}"):
        try:
            last = asyncio.run(_follow(service, code, version, as_json=as_json))
        except KeyboardInterrupt:
            _goes_on(code)
            raise
    if as_json:
        print_json(last)
    else:
        click.echo("\n".join(safe(line) for line in described(last)))
    if last.state == "ended":
        raise UserError(f"the rematch of {code} ended before its time: {last.why}")


async def _follow(service: Service, code: str, version: int, *, as_json: bool) -> Progress:
    last: Progress | None = None
    async for progress in service.follow_rematch(code, version):
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
