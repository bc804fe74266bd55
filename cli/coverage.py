"""`starling coverage`: what was heard of an event, and what was not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import cache
from typing import Any

import click

from app.domain.heard import to_ms
from app.domain.heard_words import balance_sentence, joint_sentence, sentence
from app.domain.spans import Span
from app.errors import UserError
from cli.coverage_views import (
    GAP_COLUMNS,
    WITHOUT_COLUMNS,
    gap_rows,
    left_sentences,
    without_rows,
)
from cli.event_arguments import with_code, with_json
from cli.event_options import parse_time
from cli.service import service
from cli.terminal import prepare, print_json, print_table, safe
from cli.watching import shown, with_watch


@click.command()
@with_code
@click.option("--from", "from_", metavar="AGO|TIME", help="Look from here on: 2h (ago), or a time.")
@click.option("--to", metavar="AGO|TIME", help="Look up to here; else up to now.")
@with_watch
@with_json
def coverage(code: str, from_: str | None, to: str | None, watch: bool, every: float, as_json: bool) -> None:
    """Show in which part of its active time an event was heard, and every gap."""
    prepare()
    shown(lambda: _look(code, _span(from_, to), as_json=as_json), watch=watch, every=every)


def _look(code: str, span: Span | None, *, as_json: bool) -> None:
    found = asyncio.run(service().coverage(code, span))
    if as_json:
        print_json(found)
    elif not found.active_seconds:
        click.echo(f"{code} was not active in that time" if span else f"{code} has not been active yet")
    elif not found.sources:
        click.echo(f"no live source was there while {code} was active")
    else:
        if len(found.sources) > 1:
            click.echo(joint_sentence(found.all_sources))
        for one in found.sources:
            _print(one)
        if found.posts.get("removed"):
            click.echo(balance_sentence(found.posts))
        if found.platform_only:
            click.echo(
                f"{found.platform_only:,} posts that X sent for {code} match no keyword of it here; they are not stored"
            )


@cache
def _note(text: str) -> None:
    """Say it once, however often it is looked."""
    click.echo(text, err=True)


def _span(from_: str | None, to: str | None) -> Span | None:
    if from_ is None and to is None:
        return None
    now = datetime.now(UTC)

    def read(text: str | None, name: str) -> datetime | None:
        if text is None:
            return None
        return parse_time(text, name, now, _note, past=True)

    try:
        since, until = read(from_, "--from"), read(to, "--to") or now
    except ValueError as wrong:
        raise UserError(str(wrong)) from None
    if since is not None and since >= until:
        raise UserError("--from is not before --to" if to else "--from is not in the past")
    return to_ms(since) if since else 0, to_ms(until)


def _print(heard: dict[str, Any]) -> None:
    click.echo(safe(sentence(heard)))
    for line in left_sentences(heard):
        click.echo(safe(line))
    if heard["gaps"]:
        print_table(GAP_COLUMNS, gap_rows(heard))
    if heard["without"]:
        print_table(WITHOUT_COLUMNS, without_rows(heard))
