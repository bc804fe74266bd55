"""`starling analyze`: an analysis of an event's stored posts, by Spark."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from analysis.catalogue import ANALYSES, TRAITS
from app.errors import UserError
from app.exporting.values import text_of
from app.local.artifacts import NO_PYSPARK
from cli.event_arguments import with_code, with_json
from cli.event_options import past_time
from cli.heard import caveat_of
from cli.service import only_direct
from cli.terminal import cell, prepare, print_json, print_table, safe, waiting

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from analysis.progress import Progress as HowFar

PNG = ".png"
OF = {"trait": "first-seen", "minutes": "bursts"}  # option -> analysis


@click.command(epilog=f"NAME is one of {', '.join(ANALYSES)}. What each finds is in docs/analysis.md.")
@click.argument("name", metavar="NAME", type=click.Choice(tuple(ANALYSES)))
@with_code
@click.option("--from", "--since", "since", metavar="AGO|TIME", help="Posts made from here on: 2h (ago), or a time.")
@click.option("--to", "--until", "until", metavar="AGO|TIME", help="Posts made before this.")
@click.option("--trait", type=click.Choice(TRAITS), help="Of first-seen: of what; else hashtag.")
@click.option("--minutes", type=click.IntRange(1, 1440), help="Of bursts: how long a period is; else 1.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all rows, IT.csv or IT.parquet, or draw them, IT.png.",
)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Rows to show without --out.")
@click.option("--master", metavar="URL", help="Where Spark works: spark://host:7077; else STARLING_SPARK_MASTER.")
@with_json
def analyze(
    name: str,
    code: str,
    since: str | None,
    until: str | None,
    trait: str | None,
    minutes: int | None,
    out: Path | None,
    limit: int,
    master: str | None,
    as_json: bool,
) -> None:
    """Analyse the stored posts of an event by Spark."""
    prepare()
    only_direct("`starling analyze`")
    options = _options(name, {"trait": trait, "minutes": minutes})
    try:
        period = past_time(since, "--from"), past_time(until, "--to")
    except ValueError as wrong:
        raise UserError(str(wrong)) from None
    begin, end = period
    if begin is not None and end is not None and begin >= end:
        raise UserError("--from is not before --to")
    run, results = _spark_side()
    if out is not None:
        results.check_place(out, [PNG])
    plots = _plots() if out is not None and out.suffix == PNG else None
    order, doing = run.Order(name, code, *period, options), f"{name} of {code}"
    with ExitStack() as held:
        with waiting(f"{doing}: starting Spark"):
            spark = held.enter_context(run.spark_for(master, _report))
        held.enter_context(_shown(spark, doing))
        found = run.found(spark, order)
        columns, rows, written = found.columns, [], 0
        if out is None:
            rows = list(results.rows(found.limit(limit + 1)))
        elif plots is None:
            written = results.write(found, out)
        else:
            heard = asyncio.run(caveat_of(code, *period))
            if not heard.known:
                click.echo(safe(heard.words), err=True)
            with results.whole(out) as part:
                picture = plots.plot(name, found, _of(code, *period), heard)
                picture.save(part)
                written = picture.rows
    if out is not None:
        _tell(out, written, as_json=as_json)
    else:
        _show(columns, rows[:limit], more=len(rows) > limit, as_json=as_json)
        if not rows:
            click.echo(f"nothing found{' in this time' if any(period) else ''}", err=True)


def _options(name: str, typed: dict[str, Any]) -> dict[str, Any]:
    given = {option: value for option, value in typed.items() if value is not None}
    for option in given:
        if name != OF[option]:
            raise click.UsageError(f"--{option} is of {OF[option]} alone")
    return given


def _spark_side() -> tuple[ModuleType, ModuleType]:
    try:
        return import_module("analysis.run"), import_module("analysis.results")
    except ModuleNotFoundError as missing:
        if missing.name not in ("pyspark", "py4j"):
            raise
        raise UserError(NO_PYSPARK) from None


def _plots() -> ModuleType:
    try:
        return import_module("analysis.plots")
    except ModuleNotFoundError as missing:
        if str(missing.name).partition(".")[0] not in ("matplotlib", "numpy"):
            raise
        raise UserError("matplotlib is not installed; install the extra 'analysis' (`make setup` does)") from None


def _of(code: str, since: datetime | None, until: datetime | None) -> str:
    """Which posts a picture is of."""
    named = (("from", since), ("to", until))
    period = "".join(f" {word} {at.astimezone(UTC):%Y-%m-%d %H:%M}" for word, at in named if at)
    return f"{code}{period} UTC" if period else code


@contextmanager
def _shown(spark: SparkSession, doing: str) -> Iterator[None]:
    """Show on a terminal how far Spark is."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield
        return
    watched = import_module("analysis.progress").watched
    how_far = TextColumn("{task.fields[stages]} stages, {task.completed:,} of {task.total:,} tasks", markup=False)
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), how_far
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(safe(doing), total=0, stages="0 of 0")

        def tell(done: HowFar) -> None:
            bar.update(task, completed=done.tasks, total=done.tasks_all, stages=f"{done.stages} of {done.stages_all}")

        with watched(spark.sparkContext, tell):
            yield


def _report(line: str) -> None:
    click.echo(line, err=True)


def _tell(out: Path, written: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(out), "rows": written})
    else:
        click.echo(safe(f"{written:,} rows in {out}"))


def _show(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, more: bool, as_json: bool) -> None:
    if as_json:
        print_json([dict(zip(columns, map(_plain, row), strict=True)) for row in rows])
    else:
        print_table(columns, [[cell(_text(value)) for value in row] for row in rows])
    if more:
        click.echo("there are more rows: --limit shows more, --out writes all", err=True)


def _plain(value: Any) -> Any:
    return text_of(value) if isinstance(value, datetime) else value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
