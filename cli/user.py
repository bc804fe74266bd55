"""`starling user`: who may look at the pages, use the API, and do what there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import click
import msgspec
from click import Context, Parameter

from app.domain.people import RANKS, Person, Rank, check_own_name, is_name, newcomer, revoked
from app.errors import UserError
from app.settings import settings
from cli.event_arguments import with_json, with_yes
from cli.event_options import who
from cli.terminal import cell, moment, prepare, print_json, print_table, waiting

LINK_SECONDS = 24 * 3600.0
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
@with_own_name
@click.option("--role", "rank", type=click.Choice(RANKS), default="viewer", show_default=True)
@with_json
def add(name: str, rank: Rank, as_json: bool) -> None:
    """Add a person, or give them another role."""
    person = change(name, lambda known: _ranked(known, name, rank))
    if as_json:
        print_json(person)
    else:
        click.echo(f"{name} is {rank}; `starling user token {name}` makes a token")


@user.command()
@with_own_name
@click.option("--days", type=click.FloatRange(0.01, LONGEST_DAYS), default=90, show_default=True, help="It counts.")
def token(name: str, days: float) -> None:
    """Print a token for a person: for `Authorization: Bearer`, and to sign in with."""
    from app.clients import tokens  # noqa: PLC0415 - the drivers are slow to import

    person = _known(name)
    click.echo(tokens.issue(tokens.secret(settings()), "bearer", name, person.epoch, days * 86400))


@user.command()
@with_own_name
def link(name: str) -> None:
    """Print a link that signs a person in, once, within a day."""
    person = _known(name)
    click.echo(link_of(person))


@user.command()
@with_name
def revoke(name: str) -> None:
    """End every token and session of a person; new ones can be made."""
    change(name, lambda known: _again(known, name))
    click.echo(f"no token that {name} had counts any more")


@user.command()
@with_name
@with_yes
def remove(name: str, yes: bool) -> None:
    """Remove a person; their tokens and sessions end with it."""
    _known(name)
    if not yes and click.prompt("Type the name to confirm", err=True, default="", show_default=False) != name:
        raise UserError("not confirmed, nothing was done (--yes does not ask)")
    change(name, lambda _: None)
    click.echo(f"{name} is removed")


@user.command("list")
@with_json
def show(as_json: bool) -> None:
    """Show everybody."""
    from app.clients.people import read_people  # noqa: PLC0415 - the drivers are slow to import

    with waiting("reading"):
        people = sorted(asyncio.run(read_people(settings())).values(), key=lambda person: person.name)
    if as_json:
        print_json(people)
        return
    print_table(
        ("name", "role", "since", "by"),
        ((cell(one.name), cell(one.rank), cell(moment(one.added)), cell(one.by)) for one in people),
    )


def change(name: str, to: Callable[[Person | None], Person | None]) -> Person | None:
    """Write a person as `to` makes them of what stands. Raises UserError, Unavailable."""
    return asyncio.run(_changed(name, to))


async def _changed(name: str, to: Callable[[Person | None], Person | None]) -> Person | None:
    from app.clients.audit import write  # noqa: PLC0415 - the drivers are slow to import
    from app.clients.people import read_people, write_person  # noqa: PLC0415

    known = (await read_people(settings())).get(name)
    person = to(known)
    if person != known:
        await write_person(settings(), name, person)
        what = "person.remove" if person is None else "person.add" if known is None else "person.change"
        await write(settings(), who(), what, name, {} if person is None else {"role": person.rank})
    return person


def _ranked(known: Person | None, name: str, rank: Rank) -> Person:
    if known is None:
        return newcomer(name, rank, who(), datetime.now(UTC))
    return msgspec.structs.replace(known, rank=rank)


def _again(known: Person | None, name: str) -> Person:
    if known is None:
        raise UserError(f"there is nobody called {name!r}; `starling user list` shows all")
    return revoked(known, datetime.now(UTC))


def _known(name: str) -> Person:
    from app.clients.people import read_people  # noqa: PLC0415 - the drivers are slow to import

    known = asyncio.run(read_people(settings())).get(name)
    if known is None:
        raise UserError(f"there is nobody called {name!r}; `starling user list` shows all")
    return known


def link_of(person: Person) -> str:
    """A link that signs a person in, once."""
    from app.clients import tokens  # noqa: PLC0415 - the drivers are slow to import

    made = tokens.issue(tokens.secret(settings()), "link", person.name, person.epoch, LINK_SECONDS)
    return f"{settings().web_address}/welcome?token={made}"
