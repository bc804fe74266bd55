"""`starling tail`: posts that match, as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime

import click

from app.domain.codes import check_code
from app.domain.shown import Shown
from app.domain.standing_query import query_of
from app.errors import UserError
from cli import event_options as options
from cli.completion import event_codes
from cli.event_arguments import with_json
from cli.post_views import print_post
from cli.service import service
from cli.terminal import pipe_ended, prepare, print_json, safe


@click.command()
@click.argument("code", required=False, shell_complete=event_codes)
@click.option("--query", metavar="WORDS", help='Words that all occur; "exact phrase", #tag; a comma is "or".')
@click.option("--since", metavar="AGO|TIME", help="Begin with what is kept since: 10m (ago), or a time. Else now.")
@click.option("--limit", type=click.IntRange(1), help="End after so many posts.")
@with_json
def tail(*, code: str | None, query: str | None, since: str | None, limit: int | None, as_json: bool) -> None:
    """Print the posts of the raw stream that the event CODE, or a query, selects; until Ctrl-C.

    CODE is taken as it stands now, whatever its status: nothing is stored. What there is to say besides posts goes to
    standard error.
    """
    prepare()
    try:
        at = options.parse_time(since, "--since", datetime.now(UTC), _say, past=True) if since else None
        _check(code, query)
    except ValueError as wrong:
        raise UserError(str(wrong)) from None
    try:
        asyncio.run(_follow(service().tail(code, query, at), limit, as_json=as_json))
    except BrokenPipeError:
        pipe_ended()


def _check(code: str | None, query: str | None) -> None:
    """Raise ValueError unless one of both is given, and can be."""
    if (code is None) == (query is None):
        raise ValueError("write the code of an event, or --query")
    if query is not None:
        query_of(query)
    else:
        check_code(code or "")


async def _follow(coming: AsyncIterator[Shown | str], limit: int | None, *, as_json: bool) -> None:
    left = limit
    async for one in coming:
        if isinstance(one, str):
            _say(one)
            continue
        _print(one, as_json=as_json)
        if left is not None:
            left -= 1
            if not left:
                return


def _print(post: Shown, *, as_json: bool) -> None:
    if as_json:
        print_json(post)
    else:
        print_post(post)


def _say(text: str) -> None:
    with suppress(OSError):
        click.echo(f"starling: {safe(text)}", err=True)
