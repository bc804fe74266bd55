"""`--watch`: what a command shows, again and again."""

from __future__ import annotations

import io
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import NoReturn, TypeVar

import click

from app.errors import Unavailable
from cli.event_arguments import together
from cli.terminal import pipe_ended, safe

T = TypeVar("T")
_HOME, _REST_OF_LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"

with_watch = together(
    click.option("--watch", is_flag=True, help="Show it again and again, until Ctrl-C; along a pipe when it changes."),
    click.option("--every", type=click.FloatRange(0.1, 3600), default=2.0, metavar="SECONDS", help="With --watch: 2."),
)


def shown(draw: Callable[[], T], *, watch: bool, every: float) -> T:
    """What `draw` prints to standard output, once, or until Ctrl-C. Raises what it raises the first time."""
    if not watch:
        return draw()
    try:
        _watch(draw, every)
    except BrokenPipeError:
        pipe_ended()
        sys.exit(0)


def _watch(draw: Callable[[], object], every: float) -> NoReturn:
    terminal = sys.stdout.isatty()
    text, trouble = _drawn(draw, terminal=terminal), ""
    before: str | None = None
    while True:
        if terminal:
            _redraw(text, trouble, every)
        elif text != before:
            click.echo(text, nl=False)
            before = text
        time.sleep(every)
        try:
            text, gone = _drawn(draw, terminal=terminal), ""
        except Unavailable as away:  # whoever watches wants to see it come back
            gone = str(away)
        if gone and gone != trouble and not terminal:
            click.echo(f"starling: {gone}; trying again", err=True)
        trouble = gone


class _Terminal(io.StringIO):
    """Text that is drawn as for a terminal, to which it then goes."""

    def isatty(self) -> bool:
        return True


def _drawn(draw: Callable[[], object], *, terminal: bool) -> str:
    with redirect_stdout(_Terminal() if terminal else io.StringIO()) as drawn:
        draw()
    return drawn.getvalue()


def _redraw(text: str, trouble: str, every: float) -> None:
    """Draw over what stands there, as much as there is room for."""
    room = shutil.get_terminal_size().lines - 2
    lines = text.splitlines()
    if len(lines) > room:
        lines = [*lines[: room - 1], f"… {len(lines) - room + 1} more lines"]
    head = f"{time.strftime('%H:%M:%S')}, every {every:g} s; Ctrl-C ends it"
    if trouble:
        head = f"{safe(trouble)}; trying again"
    drawn = "".join(f"{line}{_REST_OF_LINE}\n" for line in [head, *lines])
    sys.stdout.write(f"{_HOME}{drawn}{_REST}")
    sys.stdout.flush()
