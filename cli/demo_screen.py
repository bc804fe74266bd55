"""How a demo looks: a live table on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.status import Status
from rich.table import Table
from rich.text import Text

from app.demo import hearing
from app.demo.comparing import Difference
from app.demo.outcome import Outcome
from app.demo.watching import Figures
from app.domain.heard_plain import plain
from app.domain.heard_words import sentence
from cli.coverage_views import GAP_COLUMNS, gap_rows
from cli.terminal import cell

_LINE_SECONDS = 5.0
_LONGEST = 60  # characters of a value that differs


class DemoScreen:
    """Shows a demo on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._live: Live | Status | None = None
        self._next_line = 0.0
        self._busy_with, self._next_busy = "", 0.0

    def say(self, line: str) -> None:
        """Tell what is being done, and since when."""
        self.end_live()
        stamp = f"{_clock(time.monotonic() - self._began)}  "
        self._console.print(Text.assemble((stamp, "dim"), line), soft_wrap=True)

    def busy(self, line: str) -> None:
        """Tell how far something is: on a terminal in one line that changes, elsewhere every few seconds."""
        if self._console.is_terminal:
            if not isinstance(self._live, Status):
                self.end_live()
                self._live = self._console.status("")
                self._live.start()
            self._live.update(Text(line))
            return
        what, now = line.partition(":")[0], time.monotonic()
        if what != self._busy_with or now >= self._next_busy:
            self._busy_with, self._next_busy = what, now + _LINE_SECONDS
            self.say(line)

    def show(self, figures: Figures, posts: int) -> None:
        """Show how far it is."""
        if self._console.is_terminal:
            if not isinstance(self._live, Live):
                self.end_live()
                self._live = Live(console=self._console, auto_refresh=False)
                self._live.start()
            self._live.update(_picture(figures, posts), refresh=True)
        elif figures.done or figures.seconds >= self._next_line:
            self._next_line = figures.seconds + _LINE_SECONDS
            self.say(_line(figures, posts))

    def close(self, outcome: Outcome) -> None:
        """Show how it ended."""
        console = self._console
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("")
        for name in ("planted", "found"):
            table.add_column(name, justify="right")
        table.add_column("")
        for check in outcome.checks:
            verdict = Text("equal", style="green") if check.agrees else Text("NOT EQUAL", style="bold red")
            table.add_row(check.name, f"{check.planted:,}", f"{check.found:,}", verdict)
        console.print(table)
        console.print(_speed(outcome), soft_wrap=True)
        if outcome.differences:
            console.print(
                f"\nrows: {outcome.missing:,} missing, {outcome.unexpected:,} unexpected, {outcome.wrong:,} with wrong "
                "columns; the first differences:",
                soft_wrap=True,
            )
            console.print(_differences(outcome.differences))
        if outcome.live:
            self._live_source(outcome.live)
        holds = "equals" if outcome.agrees else "does NOT equal"
        style = "bold green" if outcome.agrees else "bold red"
        console.print(f"what Cassandra holds {holds} what was planted", style=style)

    def _live_source(self, live: hearing.Live) -> None:
        """What was heard of the live source, and what a person is told of it later."""
        console, heard = self._console, plain(live.heard)
        console.print(f"\nlive source: {_heard(live)}", soft_wrap=True)
        console.print(f"\n$ starling coverage {live.code}\n{sentence(heard)}", soft_wrap=True)
        table = Table(box=None, pad_edge=False)
        for name in GAP_COLUMNS:
            table.add_column(name, no_wrap=name != "why", overflow="fold")
        for row in gap_rows(heard):
            table.add_row(*row)
        if live.heard.gaps:
            console.print(table)
        console.print()

    def end_live(self) -> None:
        """Leave what is shown as it is, and the terminal as it was."""
        if self._live is not None:
            self._live.stop()
            self._live = None


@contextmanager
def screen_for(as_json: bool) -> Iterator[DemoScreen]:
    """A screen; on stderr where stdout is for JSON. Leaves the terminal as it was, however it ends."""
    screen = DemoScreen(Console(file=sys.stderr if as_json else sys.stdout, highlight=False))
    try:
        yield screen
    finally:
        screen.end_live()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _picture(figures: Figures, posts: int) -> Group:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("event")
    for name in ("posts in", "matched", "stored", "lag", "lag s", "posts/s"):
        table.add_column(name, justify="right", min_width=8)
    for code, due in figures.due.items():
        stored = figures.stored[code]
        table.add_row(code, f"{due:,}", "", f"{stored:,}", f"{max(0, due - stored):,}")
    total = sum(figures.stored.values())
    table.add_section()
    table.add_row(
        "all",
        f"{figures.sent:,}",
        f"{figures.matched:,}",
        f"{total:,}",
        f"{figures.lag:,}",
        f"{figures.lag_seconds:.1f}",
        f"{figures.rate:,.0f}",
        style="bold",
    )
    bar = Table.grid(padding=(0, 1))
    bar.add_row(ProgressBar(posts, min(figures.sent, posts), width=60), _clock(figures.seconds))
    note = "a post of two events is stored for each; one that comes twice counts twice and is one row"
    return Group(table, bar, Text(note, style="dim"))


def _line(figures: Figures, posts: int) -> str:
    events = ", ".join(f"{code} {stored:,}" for code, stored in figures.stored.items())
    return (
        f"posts in {figures.sent:,} of {posts:,}, matched {figures.matched:,}, stored {events}, "
        f"lag {figures.lag:,} posts ({figures.lag_seconds:.1f} s), {figures.rate:,.0f} posts/s"
    )


def _speed(outcome: Outcome) -> str:
    line = f"{outcome.posts:,} posts in {outcome.seconds:.0f} s: {outcome.rate:,.0f} a second"
    if outcome.latency_p50 is None or outcome.latency_p99 is None:
        return line
    return f"{line}; received to written {outcome.latency_p50:.2f} s (p50), {outcome.latency_p99:.2f} s (p99)"


def _heard(live: hearing.Live) -> str:
    return (
        f"of {live.arisen:,} posts {live.sent:,} were sent for {live.code}, and all of these are stored once\n"
        if all(check.agrees for check in live.checks)
        else f"of {live.arisen:,} posts {live.sent:,} were sent for {live.code}; not all is as it should be\n"
    ) + (
        f"the new keyword was asked for {live.seconds:.1f} s after the wish, without a new connection "
        f"({live.early:,} posts came too early)\nthe cut has lost {live.missed:,} posts, and the ledger says when:"
    )


def _differences(differences: list[Difference]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("post", "column", "expected", "found"):
        table.add_column(name, overflow="fold")
    for difference in differences:
        table.add_row(
            difference.post,
            difference.column or f"({difference.event})",
            cell(_short(difference.expected)),
            cell(_short(difference.found)),
        )
    return table


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
