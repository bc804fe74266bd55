"""Processes that outlive the command which starts them, found again by pid and start time."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process that Starling started."""

    pid: int
    started: str  # as the system tells it; a recycled pid has another

    def alive(self) -> bool:
        """Tell whether this very process still runs."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)  # where it is our child, else it would stay as a zombie
        return self.started == start_time(self.pid)

    def wait(self, seconds: float) -> bool:
        """Wait until it ended; False when it still runs after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def stop(self, patience: float) -> None:
        """Ask it to end, and after `patience` seconds end it with all its children."""
        if not self.alive():
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        if not self.wait(patience):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.wait(5)


def spawn(command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None) -> Process:
    """Start a command in a session of its own, so that a Ctrl-C in the terminal does not reach it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [str(part) for part in command]
    # Not subprocess.Popen: its object complains when it is dropped before the process ends.
    pid = os.posix_spawn(
        argv[0],
        argv,
        os.environ if env is None else env,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return Process(pid, start_time(pid) or "")


def start_time(pid: int) -> str | None:
    """When the process with this pid started; None where there is none, or only a zombie."""
    if Path("/proc/self/stat").exists():
        try:
            # The command's name, in brackets, may itself hold brackets and blanks.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else fields[19]
    told = subprocess.run(  # noqa: S603 - no shell, a number as its only argument
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=10, check=False
    ).stdout.split(maxsplit=1)
    return None if not told or told[0].startswith("Z") else told[1].strip()
