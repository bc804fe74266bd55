"""`starling export`: an event's stored posts as one file, with a manifest beside it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
from msgspec.structs import replace

from app.domain.exports import Filters, Format, Network, Wish, manifest_name
from app.domain.records import Origin
from app.errors import UserError
from cli.event_arguments import with_code, with_json
from cli.event_options import is_relative, past_time, split_list
from cli.service import server
from cli.terminal import prepare, print_json, safe, waiting

if TYPE_CHECKING:
    from app.exporting.manifest import File


@click.command()
@with_code
@click.option("--format", "format_", type=click.Choice(get_args(Format)), required=True, help="What kind of file.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@click.option("--from", "from_", metavar="AGO|TIME", help="Posts made from here on: 2h (ago), or a time.")
@click.option("--to", metavar="AGO|TIME", help="Posts made before this.")
@click.option("--language", "languages", multiple=True, metavar="LANG[,…]", help="Posts in one of these.")
@click.option("-k", "--keyword", "keywords", multiple=True, metavar="KEYWORD", help="Posts that matched one of these.")
@click.option("--account", "accounts", multiple=True, metavar="NAME[,…]", help="Posts by one of these.")
@click.option("--origin", "origins", multiple=True, type=click.Choice(get_args(Origin)), help="Posts that came so.")
@click.option("--tag", "tags", multiple=True, metavar="TAG[,…]", help="Posts that have one of these tags.")
@click.option("--column", "columns", multiple=True, metavar="NAME[,…]", help="Of jsonl, csv, parquet; else all.")
@click.option("--bom", is_flag=True, help="CSV for spreadsheets: a byte order mark, and ids that are not rounded.")
@click.option("--network", type=click.Choice(get_args(Network)), default="mentions", help="Of gexf.", show_default=True)
@click.option("--follow", is_flag=True, help="Tell how far it is, a line on standard error each time.")
@with_json
def export(
    code: str,
    format_: Format,
    out: Path,
    from_: str | None,
    to: str | None,
    languages: tuple[str, ...],
    keywords: tuple[str, ...],
    accounts: tuple[str, ...],
    origins: tuple[Origin, ...],
    tags: tuple[str, ...],
    columns: tuple[str, ...],
    bom: bool,
    network: Network,
    follow: bool,
    as_json: bool,
) -> None:
    """Write the stored posts of an event into a file, and beside it what the file is (FILE.manifest.json).

    Broken off, the same command goes on where it was.
    """
    prepare()
    try:
        wish = Wish(
            format=format_,
            columns=split_list(columns),
            bom=bom,
            network=network,
            filters=Filters(
                since=past_time(from_, "--from"),
                until=past_time(to, "--to"),
                languages=split_list(languages),
                keywords=keywords,
                accounts=split_list(accounts),
                origins=origins,
                tags=split_list(tags),
            ),
        )
        _check_place(out)
        with waiting(f"exporting {code}"):
            file = _carry_out(code, wish, out, (from_, to), _teller(follow=follow))
    except ValueError as wrong:
        raise UserError(str(wrong)) from None
    except KeyboardInterrupt:
        click.echo("starling: broken off; the same command goes on where it was", err=True)
        raise
    manifest = out.with_name(manifest_name(out.name))
    if as_json:
        made = {"rows": file.rows, "bytes": file.bytes, "sha256": file.sha256}
        print_json({"file": str(out), "manifest": str(manifest), **made})
    else:
        click.echo(safe(f"{file.rows:,} posts in {out} ({file.bytes:,} bytes); {manifest} says what it is"))


def _check_place(out: Path) -> None:
    for path in (out, out.with_name(manifest_name(out.name))):
        if path.exists():
            raise ValueError(f"{path} exists; remove it, or choose another name")
    if not out.parent.is_dir():
        raise ValueError(f"there is no directory {out.parent}")


def _as_begun(wish: Wish, before: Wish | None, typed: tuple[str | None, str | None]) -> Wish:
    """The wish, with the times that `2h` meant when the export was begun that is to go on."""
    if before is None:
        return wish
    from_, to = typed
    since = before.filters.since if from_ is not None and is_relative(from_) else wish.filters.since
    until = before.filters.until if to is not None and is_relative(to) else wish.filters.until
    return replace(wish, filters=replace(wish.filters, since=since, until=until))


def _teller(*, follow: bool) -> Callable[[float, int], None]:
    def tell(share: float, rows: int) -> None:
        if follow:
            click.echo(f"{share:.0%}, {rows:,} posts", err=True)

    return tell


def _carry_out(
    code: str, wish: Wish, out: Path, typed: tuple[str | None, str | None], tell: Callable[[float, int], None]
) -> File:
    """Write into a directory beside the file, then put both in their places: what has its name is whole."""
    from app.exporting.job import DATA, MANIFEST  # noqa: PLC0415 - the drivers are slow to import
    from cli import direct_export, remote_export  # noqa: PLC0415

    begun, export = (
        (direct_export.begun, direct_export.export) if server() is None else (remote_export.begun, remote_export.export)
    )
    work = out.with_name(f"{out.name}.part")
    file = export(code, _as_begun(wish, begun(work), typed), out.name, work, tell)
    (work / MANIFEST).replace(out.with_name(manifest_name(out.name)))
    (work / DATA).replace(out)
    shutil.rmtree(work, ignore_errors=True)
    return file
