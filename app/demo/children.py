"""Processes that a demo starts and ends: Starling's own commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from app.settings import state_dir

STOP_SECONDS = 8.0  # for last batches and commits; what is left then is thrown away anyway


def starling(
    *arguments: str, env: Mapping[str, str], stdout: int | IO[bytes], log: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """Start `starling …` as a process of its own; without a log it complains where this process does."""
    directory = state_dir() / "data" / "demo"
    directory.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(  # noqa: S603 -- our own command
        # Beside this Python, whatever the PATH says.
        [Path(sys.executable).with_name("starling"), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=log,
        cwd=directory,  # Faust keeps files where it is started
        env=env,
        start_new_session=True,  # a Ctrl-C in the terminal must reach the demo alone
    )


def port_of(process: subprocess.Popen[bytes]) -> int | None:
    """Where a server that was started with --json and a pipe listens; None where it ended instead."""
    assert process.stdout is not None  # noqa: S101 -- a pipe was asked for
    with process.stdout as told:
        first = told.readline()
    return int(json.loads(first)["port"]) if first else None


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it, by force after a few seconds."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            return
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def log_file(name: str) -> Path:
    """Where a process of a run writes what it has to say."""
    path = state_dir() / "logs" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
