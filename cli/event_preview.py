"""`starling event preview`: what keywords would find, tried on the raw posts that are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
from rich.text import Text

from app.domain.codes import check_code
from app.domain.events import Definition, Event, check_selects
from app.domain.preview import MOST_POSTS, MOST_SECONDS, Basis, Limits, Preview, event_to_try
from app.errors import UserError
from cli import event_options as options
from cli.completion import event_codes
from cli.event_arguments import with_json, with_selectors
from cli.post_views import post_lines
from cli.service import service
from cli.terminal import cell, moment, print_json, print_pairs, print_table, safe, waiting

_REPLACEABLE = ("keywords", "accounts", "boxes", "languages")


@click.command()
@click.argument("code", required=False, shell_complete=event_codes)
@with_selectors
@click.option("--add-keyword", "add", multiple=True, metavar="KEYWORD[,…]", help="Beside those of CODE.")
@click.option(
    "--since", default="24h", show_default=True, metavar="AGO|TIME", help="From when on: 2h (ago), or a time."
)
@click.option("--posts", type=click.IntRange(1), default=MOST_POSTS, show_default=True, help="Read so many at most.")
@click.option("--seconds", type=click.FloatRange(0.1), default=MOST_SECONDS, show_default=True, help="Read so long.")
@with_json
def preview(
    *, code: str | None, add: Sequence[str], since: str, posts: int, seconds: float, as_json: bool, **fields: Any
) -> None:
    """Try keywords on the raw posts that are kept: hits an hour, samples, what looks like noise. Changes nothing.

    Of CODE, an event that exists, what is given replaces the list that it has.
    """
    try:
        at = _past(since)
        event = _event(code, add, fields)
    except ValueError as wrong:
        raise UserError(str(wrong)) from None
    with waiting("reading the raw posts that are kept"):
        found = asyncio.run(service().preview(event, at, Limits(posts, seconds)))
    if as_json:
        print_json(found)
    else:
        _print(found)


def _past(since: str) -> datetime:
    now = datetime.now(UTC)
    at = options.parse_time(since, "--since", now, lambda text: click.echo(text, err=True), past=True)
    if at >= now:
        raise ValueError(f"--since {since!r} is no moment of the past: there is nothing to read")
    return at


def _event(code: str | None, add: Sequence[str], fields: dict[str, Any]) -> Event:
    definition = options.definition(name=None, start=None, end=None, note=lambda _: None, **fields)
    if code is None:
        if add:
            raise ValueError("--add-keyword is for an event that exists: write its code, or -k")
        return event_to_try(definition)
    current = asyncio.run(service().event(check_code(code)))
    event = msgspec.structs.replace(current, **_changes(current, definition, add))
    check_selects(msgspec.structs.replace(event, start=None, end=None))
    return event


def _changes(current: Event, definition: Definition, add: Sequence[str]) -> dict[str, Any]:
    given = definition.given()
    if add:
        if "keywords" in given:
            raise ValueError("-k and --keywords-file replace all keywords: not with --add-keyword")
        given["keywords"] = options.with_keywords(current, add, ())
    return {name: given[name] for name in _REPLACEABLE if name in given}


def _print(found: Preview) -> None:
    for line in found.words:
        click.echo(safe(line))
    print_pairs((name, cell(value)) for name, value in _basis(found.basis))
    for line in found.cannot_tell:
        click.echo(safe(f"it cannot be told: {line}"))
    if found.counting_failed:
        click.echo(safe(f"no counts of X: {found.counting_failed}"))
    if found.counted is not None:
        for line in found.counted.left_out:
            click.echo(safe(f"X was not asked for {line}"))
    print_table(("selector", "hits", "share", "alone", "an hour"), _figures(found))
    for hint in found.hints:
        click.echo(safe(f"hint: {hint.text}"))
    if found.samples:
        click.echo("")
        post_lines(found.samples)


def _basis(basis: Basis) -> Iterator[tuple[str, str]]:
    of = f"about {basis.posts_about:,}" if basis.stopped_by else f"{basis.posts_about:,}"
    limit = {"": "", "posts": " (the limit of posts)", "seconds": " (the limit of time)"}[basis.stopped_by]
    yield "read", f"{basis.posts:,} of {of} posts{limit}"
    if basis.since is not None and basis.until is not None:
        yield "received", f"{_at(basis.since)} to {_at(basis.until)}"
    if basis.sources:
        yield "sources", ", ".join(f"{one.source} {one.posts:,}" for one in basis.sources)


def _figures(found: Preview) -> Iterable[Iterable[Text]]:
    for figure in found.keywords:
        rate = "" if figure.per_hour is None else f"{figure.per_hour:,.1f}"
        yield (
            cell(figure.selector),
            cell(f"{figure.hits:,}"),
            cell(f"{figure.share:.0%}"),
            cell(f"{figure.alone:,}"),
            cell(rate),
        )


def _at(ms: int) -> str:
    return moment(datetime.fromtimestamp(ms / 1000, UTC))
