"""What `starling replay` and `starling import` have in common: files on their way, with a bar, until they are sent."""

from __future__ import annotations

import asyncio
import signal
import sys
import time

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from app.errors import UserError
from app.replay.lines import JsonLines
from app.replay.sending import Job, Replay, Sent
from app.settings import settings
from cli.terminal import print_json, safe

_TERMINATED = 128 + signal.SIGTERM


def send(job: Job, *, as_json: bool) -> None:
    """Send the files and say what was sent. Raises UserError, Unavailable; ends the process where it was stopped."""
    listener = _Terminal()
    run = Replay(settings(), job, listener)
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
            self._task, description=safe(file.name), total=file.size, completed=file.consumed, posts=posts
        )
