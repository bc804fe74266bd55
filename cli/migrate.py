"""`starling migrate`: topics and schema."""

from __future__ import annotations

import asyncio
import json

import click
import msgspec

from app.clients.migrate import migrate as run_migration
from app.settings import settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def migrate(*, as_json: bool) -> None:
    """Make or grow topics and schema; repeatable."""
    done = asyncio.run(run_migration(settings()))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(done)))
        return
    for what, names in (("made topic", done.created), ("grew topic", done.grown), ("changed schema:", done.schema)):
        for name in names:
            click.echo(f"{what} {name}")
    if not (done.created or done.grown or done.schema):
        click.echo("topics and schema are up to date")
