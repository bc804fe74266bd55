"""Arguments and options that commands about events share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from app.domain.codes import check_code
from app.domain.events import POLICIES
from app.errors import UserError
from cli.completion import event_codes

T = TypeVar("T")


def _code(_: click.Context, __: click.Parameter, value: str) -> str:
    try:
        return check_code(value)
    except ValueError as wrong:
        raise UserError(str(wrong)) from None


def together(*decorators: Callable[[T], T]) -> Callable[[T], T]:
    """Several options as one decorator, in the order of the help."""

    def decorate(command: T) -> T:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


with_code = click.argument("code", callback=_code, shell_complete=event_codes)
with_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
with_why = click.option("--why", default="", help="Reason, kept in the history.")
with_version = click.option("--version", type=click.IntRange(1), help="Refuse unless the event is at this version.")
with_rematch = click.option(
    "--rematch", metavar="AGO|TIME|none", help="Hear what was said since: 2h (ago), a time, or none. New events: 1h."
)
with_yes = click.option("--yes", is_flag=True, help="Do not ask.")
with_selectors = together(
    click.option("-k", "--keyword", "keywords", multiple=True, metavar="KEYWORD[,…]", help='"quoted": a phrase.'),
    click.option(
        "--keywords-file",
        type=click.File("rb"),
        metavar="FILE",
        help="Keywords, one a line (UTF-8; - is stdin); blank lines and lines that begin with // are none.",
    ),
    click.option("--account", "accounts", multiple=True, metavar="NAME[,…]", help="Posts by, to or of an account."),
    click.option("--box", "boxes", multiple=True, metavar="W,S,E,N", help="Posts from a box, in degrees."),
    click.option("--language", "languages", multiple=True, metavar="LANG[,…]", help="Only posts in these languages."),
)
with_fields = together(
    with_selectors,
    click.option("--start", metavar="TIME", help="When to begin: ISO 8601, or now+2h."),
    click.option("--end", metavar="TIME", help="When to stop."),
    click.option(
        "--deletions",
        type=click.Choice(POLICIES),
        help="What becomes of posts that their source takes back; drop at first.",
    ),
    click.option("--hot/--not-hot", "hot", default=None, help="Much is expected: a cluster may run more workers."),
)
