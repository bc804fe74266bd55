"""`starling login` and `context`: which servers a person works with, and who they are there."""

from __future__ import annotations

import asyncio
import sys
from urllib.parse import parse_qs, urlsplit

import click
from msgspec.structs import replace

from app.errors import UserError
from cli import contexts
from cli.api_client import ApiClient
from cli.contexts import DIRECT, Context, Contexts
from cli.event_arguments import with_json
from cli.terminal import cell, prepare, print_json, print_table, safe

_LINK_PATH = "/welcome"


@click.command()
@click.argument("url")
@click.option("--name", help="What to call it; else the name of the host.")
@with_json
def login(url: str, name: str | None, as_json: bool) -> None:
    """Sign in to the server at URL, and have commands ask it from now on.

    URL may be a link that `starling up` or `starling user link` has printed. Else a token is asked for, or read from
    standard input where that is no terminal. What is kept is readable by you alone.
    """
    prepare()
    server, link = _read(url)
    if name is not None and (name in ("", DIRECT) or not name.isprintable()):
        raise UserError(f"a context cannot be called {name!r}")
    made, who, rank = asyncio.run(_signed_in(server, link, "" if link else _asked_for()))
    called = name or urlsplit(made.url).netloc
    contexts.update(lambda known: Contexts(called, known.contexts | {called: made}))
    if as_json:
        print_json({"context": called, "url": made.url, "name": who, "role": rank})
    else:
        click.echo(safe(f"signed in as {who} ({rank}); commands ask {made.url} now (context {called})"))


def _read(url: str) -> tuple[str, str]:
    """The address of the server, and the token of a link; without it where it is none. Raises UserError."""
    address, _, query = url.partition("?")
    link = parse_qs(query).get("token", [""])[0]
    if link and address.endswith(_LINK_PATH):
        return contexts.check_url(address.removesuffix(_LINK_PATH)), contexts.check_token(link)
    return contexts.check_url(url), ""


def _asked_for() -> str:
    if sys.stdin.isatty():
        return contexts.check_token(click.prompt("Token", hide_input=True, err=True))
    given = contexts.check_token(sys.stdin.readline())
    if not given:
        raise UserError("standard input holds no token: pipe one in, or write a link that signs in")
    return given


async def _signed_in(url: str, link: str, token: str) -> tuple[Context, str, str]:
    """The server with a token that counts there, whose it is and what they may do. Raises UserError, Unavailable."""
    from app.web.api.about import About  # noqa: PLC0415 - brings what few commands need
    from app.web.api.people import Token  # noqa: PLC0415
    from app.web.api.signing import Link  # noqa: PLC0415

    if link:
        token = (await ApiClient(Context(url)).post("/token", Link(link), Token)).token
    server = Context(url, token)
    about = await ApiClient(server).get("/whoami", About)
    return server, about.name, about.rank


@click.group()
def context() -> None:
    """Say which server commands ask: one of those of `starling login`, or none."""
    prepare()


@context.command("list")
@with_json
def show(as_json: bool) -> None:
    """Show all; `*` is the one in use."""
    known = contexts.read()
    current = known.current or DIRECT
    rows = [(name, known.contexts[name].url) for name in sorted(known.contexts)] + [(DIRECT, "")]
    if as_json:
        print_json([{"name": name, "url": url, "in_use": name == current} for name, url in rows])
        return
    print_table(
        ("", "context", "asks"),
        (
            (cell("*" if name == current else ""), cell(name), cell(url or "Kafka and Cassandra themselves"))
            for name, url in rows
        ),
    )


@context.command()
@click.argument("name")
def use(name: str) -> None:
    """Have commands ask the server NAME from now on; `direct`: Kafka and Cassandra themselves."""
    if name == DIRECT:
        contexts.update(lambda known: replace(known, current=""))
        click.echo("commands ask Kafka and Cassandra themselves now")
        return
    found = contexts.find(contexts.read(), name)
    contexts.update(lambda known: replace(known, current=name))
    click.echo(safe(f"commands ask {found.url} now"))


@context.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget the server NAME, and the token for it; the token itself counts on (`starling user revoke`)."""

    def without(known: Contexts) -> Contexts:
        contexts.find(known, name)
        kept = {one: server for one, server in known.contexts.items() if one != name}
        return Contexts("" if known.current == name else known.current, kept)

    contexts.update(without)
    click.echo(safe(f"{name} is forgotten"))
