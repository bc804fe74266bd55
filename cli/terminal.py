"""What all commands share in talking to a terminal: text of strangers made safe, JSON, quiet libraries."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Parts of words in Persian and Indic scripts, and of emoji; they move no cursor and turn no line around.
_JOINERS = "\u200c\u200d"
_ENDLESS = 10**9


def safe(text: str) -> str:
    """The text with every character escaped that is not seen: a name must not move the cursor or reverse the line."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in _JOINERS else char.encode("unicode_escape").decode() for char in text
    )


def cell(text: str, style: str = "") -> Text:
    """The text for a table; rich's markup in it stays as it is written."""
    return Text(safe(text), style=style, overflow="fold")


def moment(at: datetime | None) -> str:
    """A time in the local zone, to the second."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S%z}" if at else ""


def print_table(columns: Iterable[str], rows: Iterable[Iterable[Text]]) -> None:
    """Print a table as wide as the terminal; without lines, and each row in one line, where there is none."""
    console = _console()
    table = Table(box=SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(row if console.is_terminal else map(_one_line, row)))
    _print(console, table)


def print_pairs(pairs: Iterable[tuple[str, Text]]) -> None:
    """Print names and values, one pair a line."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(name, value)
    _print(_console(), grid)


def _console() -> Console:
    """As wide as the terminal; nothing is wrapped for a program that reads along a pipe, whatever COLUMNS says."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_ENDLESS)


def _one_line(text: Text) -> Text:
    return Text("; ").join(text.split("\n"))


def _print(console: Console, table: Table) -> None:
    with console.capture() as drawn:
        console.print(table)
    # Rich fills the last column with blanks, which wrap where a line is as wide as the terminal.
    click.echo("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def print_json(value: Any) -> None:
    """Print a value as one line of JSON in ASCII, so that it too is harmless to a terminal."""
    click.echo(json.dumps(msgspec.to_builtins(value)))


def pipe_ended() -> None:
    """Whoever read has enough, as `head` does; what is left in the buffer has nowhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show on a terminal that something is waited for."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield
        return
    with console.status(Text(safe(text))):
        yield


def prepare() -> None:
    """Keep libraries from talking beside our own one line, and output from failing on a terminal without Unicode."""
    for name in ("aiokafka", "asyncio", "kafka", "matplotlib"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
