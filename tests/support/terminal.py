"""A command on a terminal of its own, as a person has one before them."""

from __future__ import annotations

import os
import pty
import re
import select
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.workers import STARLING

SILENCE_SECONDS = 120
CTRL_C = b"\x03"


class Terminal:
    """One command."""

    def __init__(self, pid: int, opened: int) -> None:
        self.pid = pid
        self._opened = opened
        self.shown = ""

    def until(self, text: str) -> str:
        """All that is shown by the time that this is."""
        for _ in self._parts():
            if text in self.shown:
                return self.shown
        raise AssertionError(f"it ended without {text!r}:\n{self.shown}")

    def match(self, pattern: str) -> re.Match[str]:
        """The first that is shown of this form."""
        for _ in self._parts():
            if found := re.search(pattern, self.shown):
                return found
        raise AssertionError(f"it ended without {pattern!r}:\n{self.shown}")

    def type(self, keys: bytes) -> None:
        os.write(self._opened, keys)

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        for _ in self._parts():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _parts(self) -> Iterator[None]:
        while select.select([self._opened], [], [], SILENCE_SECONDS)[0]:
            try:
                part = os.read(self._opened, 65536)
            except OSError:  # nobody has the other end any more
                return
            self.shown += part.decode(errors="replace")
            yield
        raise AssertionError(f"nothing was shown for {SILENCE_SECONDS} s:\n{self.shown}")


@contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    """Run `starling …`; with the block its terminal goes, and so does whatever listens to that."""
    pid, opened = pty.fork()
    if pid == 0:  # the child
        os.environ["COLUMNS"] = "1000"
        os.execv(STARLING, [str(STARLING), *arguments])  # noqa: S606
    try:
        yield Terminal(pid, opened)
    finally:
        os.close(opened)
