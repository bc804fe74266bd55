"""`starling event yaml` and `import`: events as a file, out and in again."""

from __future__ import annotations

import asyncio
from typing import BinaryIO

import click

from app.domain import yamls
from app.domain.listing import GONE
from app.errors import UserError
from cli.completion import event_codes
from cli.event_arguments import with_json, with_why
from cli.service import service
from cli.terminal import cell, print_json, print_table, waiting


@click.command("yaml")
@click.argument("codes", metavar="[CODE]…", nargs=-1, shell_complete=event_codes)
@with_json
def write(*, codes: tuple[str, ...], as_json: bool) -> None:
    """Print the definitions of events, or of all, as YAML that `import` takes."""
    events = asyncio.run(service().events())
    if unknown := [code for code in codes if code not in events]:
        raise UserError(f"there is no event {unknown[0]!r}; `starling event list` shows all")
    chosen = codes or sorted(code for code, event in events.items() if event.status not in GONE)
    text = yamls.write(events[code] for code in dict.fromkeys(chosen))
    if as_json:
        print_json({"events": yamls.read(text)})
    else:
        click.echo(text, nl=False)


@click.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would become of each event.")
@click.option("--begin", is_flag=True, help="New events begin, and are no drafts.")
@with_why
@with_json
def bring(*, file: BinaryIO, dry: bool, begin: bool, why: str, as_json: bool) -> None:
    """Create and edit the events of FILE, YAML (- is standard input).

    All of it is checked first: one fault, and nothing is done. What the file does not say of an event stays.
    """
    body = file.read(yamls.MOST_BYTES + 1)
    if len(body) > yamls.MOST_BYTES:
        raise UserError(f"{file.name} has more than {yamls.MOST_BYTES:,} bytes")
    with waiting("waiting for the manager"):
        found = asyncio.run(service().bring(body, why, dry=dry, begin=begin))
    if as_json:
        print_json(found)
    elif not found.events:
        click.echo(f"{file.name} holds no event")
    else:
        rows = ((one.code, one.fate, one.why or ", ".join(one.fields)) for one in found.events)
        print_table(("event", "would be" if dry else "is", ""), (map(cell, row) for row in rows))
    if refused := sum(one.fate == "refused" for one in found.events):
        raise UserError(f"{refused} of {len(found.events)} events of {file.name} are refused")
