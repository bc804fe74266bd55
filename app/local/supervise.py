"""Keeps `starling worker --role all` running beside the local stack; `starling up` starts it, `starling down` ends it.

A worker that ends for any reason is started anew, after 1 s at first and 30 s at most. What it says goes to
`logs/worker.log`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path

from app.local.process import start_time

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
STEADY = 60.0  # seconds after which a worker counts as healthy, and its next end as the first
PATIENCE = 30.0  # seconds for its last batches and commits
LOG_BYTES = 10 * 2**20
LOG_FILES = 3
LONGEST_LINE = 2**20


@dataclass
class Supervisor:
    """Runs a command again and again until it is told to stop."""

    command: Sequence[str]
    log: Path
    child_file: Path  # says which process it is, for the case that the supervisor itself is killed
    directory: Path  # it runs there; Faust keeps files in the directory where it is started
    first_pause: float = FIRST_PAUSE
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Supervise until `stopping` is set; then end the child and return."""
        logger = _rotating(self.log)
        pause = self.first_pause
        while not self.stopping.is_set():
            began = time.monotonic()
            code = await self._run_once(logger)
            if self.stopping.is_set():
                break
            if time.monotonic() - began >= STEADY:
                pause = self.first_pause
            logger.info("supervisor: the worker ended with status %s; it starts anew in %.0f s", code, pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        self.child_file.unlink(missing_ok=True)
        logger.info("supervisor: ended")

    async def _run_once(self, logger: logging.Logger) -> int:
        child = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LONGEST_LINE,
            cwd=self.directory,
        )
        self.child_file.write_text(json.dumps({"pid": child.pid, "started": start_time(child.pid) or ""}))
        copying = asyncio.create_task(_copy(child, logger))
        stop = asyncio.create_task(self.stopping.wait())
        ended = asyncio.create_task(child.wait())
        await asyncio.wait({stop, ended}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not ended.done():
            child.terminate()
            try:
                await asyncio.wait_for(asyncio.shield(ended), PATIENCE)
            except TimeoutError:
                logger.info("supervisor: the worker did not end within %.0f s and is killed", PATIENCE)
                child.kill()
        code = await ended
        # Something the worker started may hold the pipe open; its words are not worth waiting for.
        with suppress(TimeoutError):
            await asyncio.wait_for(copying, 2)
        return code


async def _copy(child: asyncio.subprocess.Process, logger: logging.Logger) -> None:
    assert child.stdout is not None  # noqa: S101 - it is a pipe
    while True:
        try:
            line = await child.stdout.readline()
        except ValueError:  # longer than the limit: dropped
            continue
        if not line:
            return
        logger.info("%s", line.decode(errors="replace").rstrip("\n"))


def _rotating(file: Path) -> logging.Logger:
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.Logger("worker")  # not in the tree of loggers: nobody else shall see the lines
    logger.addHandler(handler)
    return logger


async def _main(directory: Path) -> None:
    # The command installed beside this Python, whatever the PATH says.
    starling = Path(sys.executable).with_name("starling")
    command = [str(starling), "worker", "--role", "all"]
    data = directory / "data" / "worker"
    data.mkdir(parents=True, exist_ok=True)
    supervisor = Supervisor(command, directory / "logs" / "worker.log", directory / "worker.json", data)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.stopping.set)
    os.environ["PYTHONUNBUFFERED"] = "1"
    await supervisor.run()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
