"""`starling export`: an event's stored posts as one file, with a manifest beside it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
from msgspec.structs import replace

from app.domain.exports import Filters, Format, Network, Origin, Wish, checked, manifest_name
from app.errors import UserError
from app.settings import Settings, settings
from cli.event_arguments import with_code, with_json
from cli.event_options import is_relative, parse_time, split_list, who
from cli.terminal import prepare, print_json, safe, waiting

if TYPE_CHECKING:
    from app.exporting.job import Job, Told
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
                since=_time(from_, "--from"),
                until=_time(to, "--to"),
                languages=split_list(languages),
                keywords=keywords,
                accounts=split_list(accounts),
                origins=origins,
                tags=split_list(tags),
            ),
        )
        _check_place(out)
        job = asyncio.run(_job(settings(), code, _as_begun(wish, out, from_, to), out.name))
    except ValueError as wrong:
        raise UserError(str(wrong)) from None
    try:
        with waiting(f"exporting {code}"):
            file = _carry_out(settings(), job, out, _teller(follow=follow))
    except KeyboardInterrupt:
        click.echo("starling: broken off; the same command goes on where it was", err=True)
        raise
    manifest = out.with_name(manifest_name(out.name))
    if as_json:
        made = {"rows": file.rows, "bytes": file.bytes, "sha256": file.sha256}
        print_json({"file": str(out), "manifest": str(manifest), **made})
    else:
        click.echo(safe(f"{file.rows:,} posts in {out} ({file.bytes:,} bytes); {manifest} says what it is"))


def _time(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    return parse_time(text, name, datetime.now(UTC), lambda note: click.echo(note, err=True), past=True)


def _check_place(out: Path) -> None:
    for path in (out, out.with_name(manifest_name(out.name))):
        if path.exists():
            raise ValueError(f"{path} exists; remove it, or choose another name")
    if not out.parent.is_dir():
        raise ValueError(f"there is no directory {out.parent}")


def _as_begun(wish: Wish, out: Path, from_: str | None, to: str | None) -> Wish:
    """The wish, with the times that `2h` meant when the export was begun that is to go on."""
    from app.exporting.job import begun  # noqa: PLC0415 - the drivers are slow to import

    before = begun(_work(out))
    if before is None:
        return wish
    filters = before.wish.filters
    since = filters.since if from_ is not None and is_relative(from_) else wish.filters.since
    until = filters.until if to is not None and is_relative(to) else wish.filters.until
    return replace(wish, filters=replace(wish.filters, since=since, until=until))


def _work(out: Path) -> Path:
    return out.with_name(f"{out.name}.part")


async def _job(current: Settings, code: str, wish: Wish, name: str) -> Job:
    """Raises ValueError where the wish cannot be, UserError, Unavailable."""
    from app.clients.event_commands import read_events  # noqa: PLC0415 - the drivers are slow to import
    from app.clients.ledger import read_entries  # noqa: PLC0415
    from app.exporting.job import Job  # noqa: PLC0415
    from app.exporting.manifest import about  # noqa: PLC0415

    events, entries = await asyncio.gather(read_events(current), read_entries(current))
    if code not in events:
        raise UserError(f"there is no event {code!r}; `starling event list` shows all")
    event, now = events[code], datetime.now(UTC)
    wish = checked(wish, event)
    asked = {"asked_by": who(), "asked_at": now}
    return Job(
        code=code, born=event.born, wish=wish, name=name, begun=now, asked=asked, about=about(event, entries, wish, now)
    )


def _teller(*, follow: bool) -> Callable[[Told], None]:
    def tell(told: Told) -> None:
        if follow:
            share = f"{told.buckets / told.buckets_all:.0%}" if told.buckets_all else "100%"
            click.echo(f"{share}, {told.rows:,} posts", err=True)

    return tell


def _carry_out(current: Settings, job: Job, out: Path, tell: Callable[[Told], None]) -> File:
    """Write into a directory beside the file, then put both in their places: what has its name is whole."""
    from app.exporting.job import DATA, MANIFEST, run  # noqa: PLC0415

    work = _work(out)
    file = run(current, job, work, tell)
    (work / MANIFEST).replace(out.with_name(manifest_name(out.name)))
    (work / DATA).replace(out)
    shutil.rmtree(work, ignore_errors=True)
    return file
