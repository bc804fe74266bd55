"""Ends the processes that tests have left running when pytest has ended, however that was.

A process of its own, started with the first that it is told of, waits for the end of a pipe: that comes even after a
kill -9, which no `finally` sees. (What Linux has for it, PR_SET_PDEATHSIG, follows the thread that has started a
process, and tests start theirs in threads.)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from app.local.process import Process, start_time

_ROOT = Path(__file__).parent.parent.parent
_lock = threading.Lock()
_waiting: list[subprocess.Popen[bytes]] = []


def end_with_us(pid: int) -> None:
    """Have a process that leads a session of its own, and all of that session, end at last with this one."""
    with _lock:
        if not _waiting:
            command = [sys.executable, "-m", __name__]
            # In a session of its own: a Ctrl-C in the terminal must not reach it.
            _waiting.append(subprocess.Popen(command, stdin=subprocess.PIPE, cwd=_ROOT, start_new_session=True))
        pipe = _waiting[0].stdin
        assert pipe is not None
        pipe.write(f"{pid} {start_time(pid)}\n".encode())
        pipe.flush()


def _main() -> None:
    told = [line.rstrip("\n").split(" ", 1) for line in sys.stdin]
    for pid, started in told:
        if Process(int(pid), started).alive():
            with suppress(ProcessLookupError):
                os.killpg(int(pid), signal.SIGKILL)


if __name__ == "__main__":
    _main()
