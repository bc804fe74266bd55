"""`starling import`: archives of posts into an event."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click

from app.domain.lately import TAKES
from app.errors import UserError
from app.replay.pacing import AtOnce
from app.replay.sending import Job
from cli.direct import Direct
from cli.sending import send
from cli.service import only_direct
from cli.terminal import prepare


@click.command(name="import")
@click.argument("files", nargs=-1, required=True, metavar="FILE|s3://BUCKET/KEY…")
@click.option("--event", "code", required=True, metavar="CODE", help="The event that takes what it matches.")
@click.option("--source", default="import", show_default=True, help="What the posts are said to come from.")
@click.option("--fresh", is_flag=True, help="From the first line, wherever the last import stopped.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def import_files(*, files: Sequence[str], code: str, source: str, fresh: bool, as_json: bool) -> None:
    """Bring archives into one event: what its keywords match is stored, whether it collects now or not.

    Archives are JSONL (X's v1.1 and v2, as twarc keeps them, or Jetstream's lines), plain or gzipped, or tables that
    DMI-TCAT has exported ("all tweets", CSV or TSV), here or in S3. An import that was interrupted goes on where it
    stopped when it is called again. A post that the event has already stays as it is, and is not counted again.
    """
    prepare()
    only_direct("`starling import`")
    event = asyncio.run(Direct().event(code))
    if event.status not in TAKES:
        raise UserError(f"{code}: nothing is imported into an event that is {event.status}")
    send(Job(files, AtOnce, source, fresh=fresh, importing=event), as_json=as_json)
    now = asyncio.run(Direct().event(code))
    if now.born != event.born or now.status not in TAKES:
        became = "purged" if now.born != event.born else now.status
        raise UserError(f"{code}: became {became} meanwhile: what came after that is not in it")
