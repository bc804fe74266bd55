"""`starling index`: the index by which stored posts are found."""

from __future__ import annotations

import asyncio

import click
import msgspec
from aiokafka.errors import KafkaError

from app.domain.events import Event
from app.errors import UserError
from app.settings import Settings, settings
from cli.event_arguments import with_code, with_json
from cli.service import only_direct
from cli.terminal import prepare, print_json, safe, waiting


@click.group()
def index() -> None:
    """Look after the index by which stored posts are found."""


@index.command()
@with_json
def status(as_json: bool) -> None:
    """Tell how far the index is behind what is stored."""
    prepare()
    only_direct("`starling index`")
    behind = asyncio.run(_behind(settings()))
    if as_json:
        print_json({"records_behind": behind})
    elif behind:
        click.echo(f"{behind:,} classified records (of 1 to 64 posts) are not indexed yet")
    else:
        click.echo("everything that was classified is indexed")


@index.command()
@with_code
@with_json
def rebuild(code: str, as_json: bool) -> None:
    """Index the stored posts of an event anew: those that are older than the index, or after a change of its rules.

    Broken off, give the command again. Posts that come meanwhile are indexed by the workers.
    """
    from app.clients.reindexing import Reindexed, reindex  # noqa: PLC0415 -- the driver is slow to import

    prepare()
    only_direct("`starling index`")
    asyncio.run(_check(settings(), code))
    last = Reindexed(0, 0, 0)
    with waiting(f"indexing {code}"):
        for last in reindex(settings(), code):
            if not as_json and last.buckets % max(1, last.of // 10) == 0:
                click.echo(f"{last.buckets:,} of {last.of:,} buckets, {last.posts:,} posts", err=True)
    if as_json:
        print_json(last)
    else:
        click.echo(safe(f"the {last.posts:,} stored posts of {code} are indexed"))


async def _check(chosen: Settings, code: str) -> None:
    from app.clients.compacted import read_compacted  # noqa: PLC0415 -- as above
    from app.topics import EVENTS  # noqa: PLC0415

    events = await read_compacted(chosen, EVENTS, msgspec.json.Decoder(Event).decode)
    event = events.get(code)
    if event is None or event.status == "purging":
        raise UserError(f"there is no event {code}; `starling event list` shows all")


async def _behind(chosen: Settings) -> int:
    from app.clients.backlog import backlog  # noqa: PLC0415 -- as above
    from app.clients.kafka import unreachable  # noqa: PLC0415
    from app.roles import Role  # noqa: PLC0415

    try:
        async with backlog(chosen, [Role.INDEXER]) as look:
            return await look.records()
    except KafkaError as error:
        raise unreachable(chosen, error) from None
