"""`starling user`: who may look at the pages, use the API, and do what there."""

from __future__ import annotations

import asyncio

import click
from click import Context, Parameter

from app.domain.people import RANKS, Person, Rank, check_own_name, is_name
from app.errors import UserError
from cli.event_arguments import with_json, with_yes
from cli.service import service
from cli.terminal import cell, moment, prepare, print_json, print_table, safe, waiting

LONGEST_DAYS = 3650


def _own_name(_: Context, __: Parameter, value: str) -> str:
    try:
        return check_own_name(value)
    except ValueError as wrong:
        raise UserError(str(wrong)) from None


def _any_name(_: Context, __: Parameter, value: str) -> str:
    if not is_name(value):
        raise UserError(f"{value[:40]!r} is no name of a person")
    return value


with_own_name = click.argument("name", callback=_own_name)
with_name = click.argument("name", callback=_any_name)


@click.group()
def user() -> None:
    """Say who may look at the pages and use the API."""
    prepare()


@user.command()
@with_name
@click.option("--role", "rank", type=click.Choice(RANKS), default="viewer", show_default=True)
@with_json
def add(name: str, rank: Rank, as_json: bool) -> None:
    """Add a person, or give them another role."""
    person, owned = asyncio.run(_ranked(name, rank))
    if as_json:
        print_json(_plain(person))
    else:
        how = "" if ":" in name else f"; `starling user token {name}` makes a token"
        click.echo(f"{name} is {rank}{how}")
    if owned:  # which somebody of that name may have been given before
        click.echo(safe(f"{name} owns {', '.join(owned)}"), err=True)


async def _ranked(name: str, rank: Rank) -> tuple[Person, list[str]]:
    asked = service()
    person = await asked.rank(name, rank)
    events = await asked.events()
    return person, sorted(code for code, event in events.items() if name in event.owners)


@user.command()
@with_own_name
@click.option("--days", type=click.FloatRange(0.01, LONGEST_DAYS), default=90, show_default=True, help="It counts.")
def token(name: str, days: float) -> None:
    """Print a token for a person: for `Authorization: Bearer`, `starling login`, and to sign in with."""
    click.echo(asyncio.run(service().token(name, days)))


@user.command()
@with_own_name
def link(name: str) -> None:
    """Print a link that signs a person in, once, within a day: in a browser, or by `starling login`."""
    click.echo(safe(asyncio.run(service().link(name))))


@user.command()
@with_name
def revoke(name: str) -> None:
    """End every token and session of a person; new ones can be made."""
    asyncio.run(service().revoke(name))
    click.echo(f"no token that {name} had counts any more")


@user.command()
@with_name
@with_yes
def remove(name: str, yes: bool) -> None:
    """Remove a person; their tokens and sessions end with it."""
    asyncio.run(service().person(name))
    if not yes and click.prompt("Type the name to confirm", err=True, default="", show_default=False) != name:
        raise UserError("not confirmed, nothing was done (--yes does not ask)")
    asyncio.run(service().remove_person(name))
    click.echo(f"{name} is removed")


@user.command("list")
@with_json
def show(as_json: bool) -> None:
    """Show everybody."""
    with waiting("reading"):
        people = sorted(asyncio.run(service().people()).values(), key=lambda person: person.name)
    if as_json:
        print_json([_plain(one) for one in people])
        return
    print_table(
        ("name", "role", "since", "by"),
        ((cell(one.name), cell(one.rank), cell(moment(one.added)), cell(one.by)) for one in people),
    )


def _plain(person: Person) -> dict[str, object]:
    """What is told of a person: not which of their tokens count."""
    return {"name": person.name, "role": person.rank, "added": person.added, "by": person.by}
