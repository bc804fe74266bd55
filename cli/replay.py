"""`starling replay`: files of posts as a stream."""

from __future__ import annotations

import asyncio
import math
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from app.errors import UserError
from app.replay.lines import JsonLines
from app.replay.pacing import AtOnce, OwnTimes, Pace, Rate
from app.replay.sending import Job, Replay, Sent
from app.settings import settings
from cli.service import only_direct
from cli.terminal import prepare, print_json, safe

_TERMINATED = 128 + signal.SIGTERM


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
    listener = _Terminal()
    run = Replay(settings(), Job(files, pace, source, loop, fresh), listener)
    got: list[signal.Signals] = []
    try:
        with listener:
            asyncio.run(_run(run, got))
    finally:
        if run.sent.files:
            _summarize(run.sent, as_json=as_json)
    if got:
        sys.exit(_TERMINATED if got[0] == signal.SIGTERM else 130)
    if run.sent.skipped:
        raise UserError(f"skipped {run.sent.skipped} line{'' if run.sent.skipped == 1 else 's'} too long for a record")


async def _run(run: Replay, got: list[signal.Signals]) -> None:
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        got.append(number)
        run.stop()
        loop.remove_signal_handler(number)  # the second one ends at once

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    await run.run()


def _summarize(sent: Sent, *, as_json: bool) -> None:
    if as_json:
        print_json(sent)
    else:
        click.echo(f"sent {sent.lines:,} lines in {sent.seconds:.1f} s ({sent.rate:,.0f} a second)")


class _Terminal:
    """A progress bar on a terminal; nothing but notes elsewhere."""

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[posts]}", markup=False),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, posts="")
        self._began = time.monotonic()
        self._shown = 0.0

    def __enter__(self) -> _Terminal:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def note(self, text: str) -> None:
        """Print a line, above the bar where there is one."""
        if self._progress.disable:
            click.echo(safe(text), err=True)
        else:
            self._progress.console.print(safe(text), markup=False)

    def moved(self, file: JsonLines, lines: int) -> None:
        """Move the bar."""
        now = time.monotonic()
        if self._progress.disable or now - self._shown < 0.1:
            return
        self._shown = now
        posts = f"{lines:,} posts, {lines / max(now - self._began, 0.1):,.0f}/s"
        self._progress.update(
            self._task, description=safe(file.path.name), total=file.size, completed=file.consumed, posts=posts
        )
