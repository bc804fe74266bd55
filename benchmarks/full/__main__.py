"""`python -m benchmarks.full`: what takes a million stored rows and more; prints a table and writes JSON.

A section is a module with `measure(ground, rows)`; `rows` is None for as many as it is meant for.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from app.errors import UserError
from benchmarks.full import nodes, partitions, table61, thesis_table, under_load
from benchmarks.full.ground import Ground
from benchmarks.report import Result
from benchmarks.sections import chosen_of, finish, measured

Section = Callable[[Ground, int | None], Iterator[Result]]

SECTIONS: dict[str, Section] = {
    "partitions": partitions.measure,
    "thesis": thesis_table.measure,
    "table-6.1": table61.measure,
    "nodes": nodes.measure,
    "under-load": under_load.measure,
}


@click.command()
@click.option("--only", help=f"Sections, with commas between: {', '.join(SECTIONS)}.")
@click.option("--rows", type=click.IntRange(1000), help="Rows of each section: few, to see that it works.")
def main(only: str | None, rows: int | None) -> None:
    """Measure Starling's stored posts and their analysis, beside the thesis's."""
    chosen = chosen_of(SECTIONS, only)
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="starling-full-", ignore_cleanup_errors=True) as directory,
        Ground(Path(directory)) as ground,
    ):
        results = measured(chosen, lambda name: SECTIONS[name](ground, rows))
    finish(results, time.monotonic() - began, {"only": chosen, "rows": rows})


if __name__ == "__main__":
    try:
        main()
    except UserError as refused:
        click.echo(f"benchmarks: {refused}", err=True)
        sys.exit(1)
