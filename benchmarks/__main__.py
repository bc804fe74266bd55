"""`python -m benchmarks`: measures, prints a table and writes JSON under `benchmarks/results`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import click

from app.errors import UserError
from benchmarks import classification, end_to_end, growth, importing, latency, memory, outage, tracking
from benchmarks.data import TWEETS, NoPosts
from benchmarks.lab import Lab, open_lab
from benchmarks.report import Result
from benchmarks.sections import chosen_of, finish, measured

Section = Callable[[Lab, int, bool], Iterator[Result]]


def _classification(lab: Lab, posts: int, quick: bool) -> Iterator[Result]:
    return classification.measure(lab, posts, 1 if quick else 3)


def _end_to_end(lab: Lab, posts: int, quick: bool) -> Iterator[Result]:
    return end_to_end.measure(lab, posts, 1 if quick else 3)


def _import(lab: Lab, posts: int, quick: bool) -> Iterator[Result]:
    return importing.measure(lab, posts, 1 if quick else 5)


def _growth(lab: Lab, posts: int, quick: bool) -> Iterator[Result]:
    return growth.measure(lab, min(posts, 60_000), 1 if quick else 3)


def _latency(lab: Lab, posts: int, quick: bool) -> Iterator[Result]:
    return latency.measure(lab, posts, 10 if quick else 60)


def _memory(lab: Lab, posts: int, quick: bool) -> Iterator[Result]:
    return memory.measure(lab, posts, 2 * posts if quick else 1_000_000)


def _tracking(lab: Lab, posts: int, quick: bool) -> Iterator[Result]:
    return tracking.measure(lab, posts, 10 if quick else 30, 1 if quick else 5, posts if quick else 250_000)


def _outage(lab: Lab, posts: int, quick: bool) -> Iterator[Result]:
    return outage.measure(lab, 10 if quick else 40)


SECTIONS: dict[str, Section] = {
    "classification": _classification,
    "end-to-end": _end_to_end,
    "import": _import,
    "growth": _growth,
    "latency": _latency,
    "memory": _memory,
    "tracking": _tracking,
    "outage": _outage,
}


@click.command()
@click.option("--only", help=f"Sections, with commas between: {', '.join(SECTIONS)}.")
@click.option("--posts", type=click.IntRange(1000), default=100_000, show_default=True, help="Posts of a stream.")
@click.option("--quick", is_flag=True, help="One repetition, short runs: to see that it works, not to compare.")
def main(only: str | None, posts: int, quick: bool) -> None:
    """Measure Starling beside other ways of doing the same."""
    chosen = chosen_of(SECTIONS, only)
    if not TWEETS.is_dir():
        raise click.ClickException("the posts to measure with are not there: shared/tweets beside the repository")
    began = time.monotonic()
    with open_lab() as lab:
        results = measured(chosen, lambda name: SECTIONS[name](lab, posts, quick))
    finish(results, time.monotonic() - began, {"only": chosen, "posts": posts, "quick": quick})


if __name__ == "__main__":
    try:
        main()
    except (NoPosts, UserError) as refused:
        click.echo(f"benchmarks: {refused}", err=True)
        sys.exit(1)
