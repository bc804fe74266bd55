"""`starling migrate`: topics and schema."""

from __future__ import annotations

import asyncio
import json

import click
import msgspec

from app.clients.migrate import migrate as run_migration
from app.preflight import take_over
from app.roles import Role
from app.settings import settings
from cli.service import only_direct


@click.command()
@click.option(
    "--role",
    "chosen",
    type=click.Choice([role.value for role in Role]),
    multiple=True,
    help="Let a role go on where another that did its work has ended (from `all` to `manager`, say).",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def migrate(*, chosen: tuple[str, ...], as_json: bool) -> None:
    """Make or grow topics and schema; repeatable."""
    only_direct("`starling migrate`")
    done = asyncio.run(run_migration(settings()))
    moved = [role for role in chosen if asyncio.run(take_over(Role(role), settings()))]
    if as_json:
        click.echo(json.dumps({**msgspec.to_builtins(done), "roles": moved}))
        return
    for role in moved:
        click.echo(f"role {role} goes on where the last one ended")
    for what, names in (
        ("made topic", done.created),
        ("grew topic", done.grown),
        ("changed retention of topic", done.kept),
        ("changed schema:", done.schema),
        ("changed replication of keyspace", done.replication),
    ):
        for name in names:
            click.echo(f"{what} {name}")
    for keyspace in done.repair:
        click.echo(
            f"run `nodetool repair -full {keyspace}` on every node: until then new copies are empty, reads miss rows"
        )
    if not (any(msgspec.structs.astuple(done)) or moved):
        click.echo("topics and schema are up to date")
