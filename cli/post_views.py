"""How posts look on a terminal: a line each, with what matched marked."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.text import Text

from app.domain.marking import Piece
from app.domain.shown import Shown
from cli.terminal import safe

_MARKED = "bold yellow"
_MOST_NAME = 40


def post_lines(posts: Iterable[Shown]) -> None:
    """Print posts, a line each."""
    for post in posts:
        print_post(post)


def print_post(post: Shown) -> None:
    """Print one post as one line: when it was received, whose it is, its text."""
    text = Text()
    text.append(f"{datetime.fromtimestamp(post.received_at / 1000, UTC).astimezone():%H:%M:%S} ", style="dim")
    text.append(_one_line(f"@{post.account or '?'}"[:_MOST_NAME]) + " ", style="cyan")
    _append(text, post.text)
    if post.quoted:
        text.append(" » ", style="dim")
        _append(text, post.quoted)
    if post.media:
        text.append(f" [{post.media} media]", style="dim")
    click.echo(_drawn(text))


def _append(text: Text, pieces: Iterable[Piece]) -> None:
    for piece in pieces:
        text.append(_one_line(piece.text), style=_MARKED if piece.marked else "")


def _one_line(text: str) -> str:
    return safe(" ".join(text.replace("\n", " ⏎ ").split("\r")))


def _drawn(text: Text) -> str:
    if not sys.stdout.isatty():
        return text.plain
    console = Console(highlight=False)
    with console.capture() as drawn:
        console.print(text, soft_wrap=True, end="")
    return drawn.get()
