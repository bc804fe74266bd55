"""`starling tail`: posts that match, as they come."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic

import click
from aiokafka.errors import KafkaError

from app.clients.event_commands import read_events
from app.clients.following import following
from app.clients.kafka import unreachable
from app.domain.codes import check_code
from app.domain.events import Event
from app.domain.shown import Shown
from app.domain.silence import Silence
from app.domain.standing_query import Sieve, query_of
from app.errors import UserError
from app.settings import Settings, settings
from cli import event_options as options
from cli.event_arguments import with_json
from cli.post_views import print_post
from cli.terminal import prepare, print_json

_NAME = "query"


@click.command()
@click.argument("code", required=False)
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
        event = _wanted(code, query)
    except ValueError as wrong:
        raise UserError(str(wrong)) from None
    try:
        asyncio.run(_follow(settings(), event, at, limit, as_json=as_json))
    except KafkaError as error:
        raise unreachable(settings(), error) from None
    except BrokenPipeError:
        # Whoever read has enough, as `head` does; what is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _wanted(code: str | None, query: str | None) -> Event:
    if (code is None) == (query is None):
        raise ValueError("write the code of an event, or --query")
    if query is not None:
        return query_of(query)
    assert code is not None  # noqa: S101 -- one of both is given
    event = asyncio.run(read_events(settings())).get(check_code(code))
    if event is None:
        raise ValueError(f"there is no event {code!r}; `starling event list` shows all")
    return event


async def _follow(
    settings: Settings, event: Event, since: datetime | None, limit: int | None, *, as_json: bool
) -> None:
    sieve = Sieve({_NAME: event})
    left = limit
    async with following(settings, since) as source:
        silence = Silence(monotonic())
        while True:
            found = sieve.sift(await source.take())
            posts = found.wanted.get(_NAME, [])[:left]
            for post in posts:
                _print(post, as_json=as_json)
            if left is not None:
                left -= len(posts)
                if not left:
                    return
            silence.heard(found.posts, len(posts), monotonic())
            if (word := silence.word(monotonic())) is not None:
                away = silence.nothing_comes and not await source.answers()
                _say(f"Kafka does not answer at {settings.kafka}" if away else word)


def _print(post: Shown, *, as_json: bool) -> None:
    if as_json:
        print_json(post)
    else:
        print_post(post)


def _say(text: str) -> None:
    with suppress(OSError):
        click.echo(f"starling: {text}", err=True)
