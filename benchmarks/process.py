"""Processes that are measured: what they have used of the processor and hold of memory, as Linux counts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Seconds of processor time that a process has used, user and system, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def rss_bytes(pid: int) -> int:
    """Bytes of memory that a process holds now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Measured:
    """A process that was started here, with its output in a file."""

    def __init__(self, arguments: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def check(self) -> None:
        """Raise RuntimeError if it has ended, with the end of its log."""
        if (code := self._process.poll()) is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.log.stem} ended with status {code}:\n{tail}")

    def cpu(self) -> float:
        """Seconds of processor time so far, user and system, all threads."""
        self.check()
        return cpu_seconds(self.pid)

    def rss(self) -> int:
        """Bytes of memory held now."""
        self.check()
        return rss_bytes(self.pid)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def wait_calm(processes: Sequence[Measured], seconds: float = 60) -> None:
    """Return when all are nearly idle: started, and nothing left to do."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = [process.cpu() for process in processes]
        time.sleep(1)
        if all(process.cpu() - then <= 0.06 for process, then in zip(processes, before, strict=True)):
            return
    raise TimeoutError("the contestants do not come to rest")
