"""Sections of a benchmark: those that are asked for, in turn, and what they find."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import click

from benchmarks.report import Result, save, show


def chosen_of(sections: Collection[str], only: str | None) -> list[str]:
    """Those that are named, with commas between; else all. Raises UsageError."""
    chosen = only.split(",") if only else list(sections)
    if unknown := [name for name in chosen if name not in sections]:
        raise click.UsageError(f"no section {', '.join(unknown)}; there are {', '.join(sections)}")
    return chosen


def measured(chosen: Sequence[str], section: Callable[[str], Iterator[Result]]) -> list[Result]:
    """What the sections find, each told as it comes."""
    results: list[Result] = []
    for name in chosen:
        start = time.monotonic()
        for result in section(name):
            results.append(result)
            click.echo(
                f"  {result.section} | {result.case} | {result.what}: {result.value:,.4g} {result.unit}", err=True
            )
        click.echo(f"{name}: {time.monotonic() - start:.0f} s", err=True)
    return results


def finish(results: Sequence[Result], seconds: float, options: Mapping[str, object]) -> None:
    """Write the results with the options that they were asked with, and print their table."""
    file = save(results, seconds, options)
    show(results)
    click.echo(f"{seconds:.0f} s; {file.relative_to(file.parents[2])}")
