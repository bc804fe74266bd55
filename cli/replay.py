"""`starling replay`: files of posts as a stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from app.replay.pacing import AtOnce, OwnTimes, Pace, Rate
from app.replay.sending import Job
from cli.sending import send
from cli.service import only_direct
from cli.terminal import prepare


class _Positive(click.FloatRange):
    """Above 0, and a number: nan passes every comparison that refuses it by failing."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is no rate.", param, ctx)
        return number


_positive = _Positive(0, min_open=True)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
@click.option("--rate", type=_positive, metavar="N", help="So many posts a second.")
@click.option("--speed", type=_positive, metavar="X", help="X times as fast as the posts were made; 1 is as it was.")
@click.option("--loop", is_flag=True, help="Over and over until Ctrl-C.")
@click.option("--source", default="replay", show_default=True, help="What the posts are said to come from.")
@click.option("--fresh", is_flag=True, help="From the first line, wherever the last replay stopped.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def replay(
    *,
    files: Sequence[Path],
    rate: float | None,
    speed: float | None,
    loop: bool,
    source: str,
    fresh: bool,
    as_json: bool,
) -> None:
    """Send the lines of FILE… (JSONL, plain or gzipped) to the raw topic, as fast as it takes them.

    Each line goes unchanged. A replay that was interrupted goes on where it stopped when it is called again, and a
    file that was sent to its end is not sent twice. With --speed, posts more than an hour apart are not waited for.
    """
    prepare()
    only_direct("`starling replay`")
    if rate is not None and speed is not None:
        raise click.UsageError("--rate and --speed exclude each other")
    pace: Callable[[], Pace] = AtOnce
    if rate is not None:
        pace = lambda: Rate(rate)  # noqa: E731 -- shorter than a function of that name
    elif speed is not None:
        pace = lambda: OwnTimes(speed)  # noqa: E731
    send(Job(files, pace, source, loop, fresh), as_json=as_json)
