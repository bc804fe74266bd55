"""`starling event trends`: what is frequent in an event just now, and when it had many more posts than usual."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import zip_longest

import click
import msgspec

from app.domain.bursts import Bursts
from app.domain.trends import KINDS, WINDOWS, Kind, Trend, Trends, Window
from cli.event_arguments import with_code, with_json
from cli.service import service
from cli.terminal import cell, moment, print_json, print_table
from cli.watching import shown, with_watch

_MOST_BURSTS = 5


@click.command("trends")
@with_code
@click.option(
    "--window",
    type=click.Choice([str(window) for window in WINDOWS]),
    default="10",
    show_default=True,
    help="Of so many minutes.",
)
@click.option("--most", type=click.IntRange(1, 100), default=10, show_default=True, help="So many of each at most.")
@with_watch
@with_json
def trends(*, code: str, window: str, most: int, watch: bool, every: float, as_json: bool) -> None:
    """Show the most frequent hashtags, accounts and links of the event CODE just now, and its bursts.

    Of whole minutes, the last that have posts; a burst has three times as many posts as usual.
    """
    minutes = next(one for one in WINDOWS if str(one) == window)
    shown(lambda: _look(code, minutes, most, as_json=as_json), watch=watch, every=every)


def _look(code: str, window: Window, most: int, *, as_json: bool) -> None:
    found, bursts = asyncio.run(service().trends(code, window))
    tops = {kind: getattr(found, kind)[:most] for kind in KINDS}
    found = msgspec.structs.replace(found, **tops)
    if as_json:
        print_json(msgspec.to_builtins(found) | {"bursts": msgspec.to_builtins(bursts.bursts)})
    else:
        _print(found, bursts)


def _print(found: Trends, bursts: Bursts) -> None:
    click.echo(f"{found.posts:,} posts made from {_at(found.since)} to {_at(found.until)}")
    columns = [column for kind in KINDS for column in (_heading(kind, found), "posts")]
    rows = zip_longest(*(getattr(found, kind) for kind in KINDS))
    print_table(
        columns,
        ([cell(text) for kind, one in zip(KINDS, row, strict=True) for text in _pair(kind, one)] for row in rows),
    )
    for one in bursts.bursts[:_MOST_BURSTS]:
        click.echo(f"burst at {_at(one.since)}: {one.posts:,} posts, usual are {one.usual:,.1f}")


def _heading(kind: Kind, found: Trends) -> str:
    forgotten = found.forgotten.get(kind)
    return f"{kind} (each up to {forgotten:,} more)" if forgotten else kind


def _pair(kind: Kind, one: Trend | None) -> tuple[str, str]:
    if one is None:
        return "", ""
    name = f"#{one.name}" if kind == "hashtags" else one.screen_name or one.name
    return name, f"{one.posts:,}"


def _at(ms: int) -> str:
    return moment(datetime.fromtimestamp(ms / 1000, UTC))
