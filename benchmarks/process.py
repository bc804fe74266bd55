"""Processes that are measured: what they have used of the processor and hold of memory, as Linux counts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Seconds of processor time that a process has used, user and system, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


class TreeClock:
    """Processor time of some processes and all below them; of those that have ended it is what the last look saw.

    Who waits for its children would know it of them, but the daemon of PySpark does not wait for its workers.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._seen: dict[tuple[int, str], float] = {}  # by number and start: numbers come again

    def seconds(self) -> float:
        """Look, and give the seconds so far."""
        for pid in self._pids:
            for one, fields in _tree(pid):
                self._seen[one, fields[19]] = (int(fields[11]) + int(fields[12])) / _TICK
        return sum(self._seen.values())


def tree_peak_bytes(pid: int) -> int:
    """The most memory that a process and each of those below it have held, which need not have been at one time."""
    found = 0
    for one, _ in _tree(pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
            found += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return found


def _tree(pid: int) -> Iterator[tuple[int, list[str]]]:
    """A process and those below it, each with the fields of its `stat` that follow the name."""
    every: dict[int, list[str]] = {}
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(FileNotFoundError, ProcessLookupError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                every[int(entry.name)] = fields
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    left = [pid] if pid in every else []
    while left:
        one = left.pop()
        yield one, every[one]
        left += children.get(one, [])


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
