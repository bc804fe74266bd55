"""Posts that arise by themselves: generated ones or those of files, at a rate."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import BinaryIO, Protocol, cast

from app.errors import UserError
from app.generator import Mix, v1, v2
from app.generator.composing import Composer
from app.generator.drafts import copy_of
from app.generator.selectors import selectors_of
from app.simulator import bluesky
from app.simulator.faults import Wire
from app.simulator.options import Options
from app.simulator.wires import NoPost, read

TICK = 0.01  # seconds
_AT_ONCE = 256  # posts, before others get their turn
_MOST_UNREAD = 1024 * 1024  # bytes that clients have not taken, beyond which nothing more is made for them

Lines = list[tuple[Wire, bytes]]  # one post, in the form of each wire that gets it
Source = Iterator[Lines]


class Stage(Protocol):
    """Where posts go."""

    @property
    def listeners(self) -> int:
        """How many clients are connected."""

    @property
    def unread(self) -> int:
        """Bytes that the slowest client has not taken."""

    def flush(self) -> None:
        """Have everything written."""


class Feed:
    """Has posts arise, until there are no more."""

    def __init__(self, options: Options, stage: Stage, arise: Callable[[], bool]) -> None:
        """`arise` makes the next post, and says whether there was one."""
        self.made = 0
        self._options = options
        self._stage = stage
        self._arise = arise

    async def run(self) -> None:
        """Return after the last post."""
        while self._options.wait and not self._stage.listeners:  # noqa: ASYNC110 -- they are counted over all wires
            await asyncio.sleep(TICK)
        began = time.monotonic()
        most = self._options.posts
        while most is None or self.made < most:
            due = self._due(time.monotonic() - began)
            if most is not None:
                due = min(due, most - self.made)
            for _ in range(due):
                if not self._arise():
                    self._stage.flush()
                    return
                self.made += 1
            self._stage.flush()
            await asyncio.sleep(0 if due == _AT_ONCE else TICK)

    def _due(self, seconds: float) -> int:
        if self._options.rate:
            return min(_AT_ONCE, int(seconds * self._options.rate) + 1 - self.made)
        return _AT_ONCE if self._stage.listeners and self._stage.unread < _MOST_UNREAD else 0


def source(options: Options) -> Source:
    """The posts that are wanted. Raises UserError for keywords that cannot be planted and files that cannot be read."""
    if options.files:
        for path in options.files:
            _check(path)
        return _given(options)
    try:
        return _generated(options, _composer(options))
    except ValueError as wrong:
        raise UserError(str(wrong)) from None


def _composer(options: Options) -> Composer:
    events = options.events
    return Composer(events, selectors_of(events), Random(options.seed), Mix())  # noqa: S311 -- nothing is secret


def _generated(options: Options, composer: Composer) -> Source:
    sequence = iter(range(1, 1 << 62)).__next__
    while True:
        draft = composer.post(int(time.time() * 1000), sequence)
        copy = copy_of(draft.retweeted) if draft.retweeted else None
        lines: Lines = []
        if "x" in options.wires:
            lines.append(("x", v2.line([draft], as_list=False)))
        if "v1" in options.wires:
            lines.append(("v1", v1.line(draft, copy, "stream")))
        if "jetstream" in options.wires:
            lines.append(("jetstream", bluesky.line(draft)))
        yield lines


def _given(options: Options) -> Source:
    while True:
        sent = False
        for path in options.files:
            with _open(path) as lines:
                for line in lines:
                    post = line.strip()
                    try:
                        wire, _ = read(post)
                    except NoPost:
                        continue  # control messages and what else stands in archives
                    sent = True
                    yield [(wire, post)]
        if not options.loop or not sent:
            return


def _open(path: Path) -> BinaryIO:
    raw = path.open("rb")
    return cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw


def _check(path: Path) -> None:
    try:
        with _open(path) as file:
            file.read(1)
    except OSError as error:
        raise UserError(f"{path}: {(error.strerror or str(error)).lower()}") from None
