"""What the two servers have in common: a Java process with its own data, logs and port, ready when it answers."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Event
from typing import ClassVar

import msgspec

from app.errors import UserError
from app.local.artifacts import Artifacts
from app.local.java import Java
from app.local.process import Process, spawn

HOST = "127.0.0.1"
START_TIMEOUT = 120.0  # seconds; 4 to 10 are usual, many times more on a busy machine
LOG_LINES = 8
PORTS = range(21_000, 32_768)
LENT_SECONDS = 60.0  # a worker listens after two, on a busy machine after many more
_OWN_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW


@dataclass(frozen=True)
class Server(ABC):
    """A server in a directory: `data/NAME`, `logs/NAME.log`, `conf/NAME`."""

    name: ClassVar[str]
    artifacts: ClassVar[Artifacts]
    stop_patience: ClassVar[float]

    directory: Path
    port: int

    @property
    def data(self) -> Path:
        """What it keeps between two starts."""
        return self.directory / "data" / self.name

    @property
    def conf(self) -> Path:
        """Its configuration, written anew at each start."""
        return self.directory / "conf" / self.name

    @property
    def log(self) -> Path:
        """Its own log, rotated by itself."""
        return self.directory / "logs" / f"{self.name}.log"

    @property
    def output(self) -> Path:
        """What it says before, or instead of, logging."""
        return self.directory / "logs" / f"{self.name}.out"

    @abstractmethod
    def command(self, java: Java, jars: Path) -> list[str]:
        """Write the configuration; give the command that runs the server with it."""

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether it answers a real request."""

    def start(self, java: Java, jars: Path) -> Process:
        """Start the process; it is not ready yet."""
        for place in (self.data, self.conf, self.log.parent):
            place.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)  # what failed must be told from this start's log
        refuse_taken(self.name, self.port)
        return spawn(self.command(java, jars), self.output)

    def wait_ready(self, process: Process, cancelled: Event) -> None:
        """Wait until it answers. Raises UserError with the end of its log when it ends or takes too long."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self.answers():
            if not process.alive():
                raise UserError(f"{self.artifacts.name} ended while it started; {self.last_words()}")
            if time.monotonic() > deadline:
                raise UserError(f"{self.artifacts.name} is not ready after {START_TIMEOUT:.0f} s; {self.last_words()}")
            if cancelled.wait(0.1):
                raise UserError(f"the start of {self.artifacts.name} was broken off")

    def last_words(self) -> str:
        """The end of its log, or of its output where it did not come to log, for an error message."""
        return log_end(self.log) or log_end(self.output) or f"it left no log in {self.log.parent}"


def log_end(file: Path) -> str:
    """The last lines of a log, without stacks, for an error message; nothing where there are none."""
    lines = file.read_text(errors="replace").splitlines() if file.exists() else []
    kept = [line for line in lines if line.strip() and not line.startswith("\tat ")]
    return f"the end of {file}:\n" + "\n".join(f"  {line[:300]}" for line in kept[-LOG_LINES:]) if kept else ""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on, all different.

    None is of those that Linux gives to connections which go out (ip_local_port_range): one of these could be taken by
    any process before the server is there. Nor is one that was given to another process of this user a moment ago,
    whose server may not be there yet.
    """
    with _lent() as lent:
        wanted = (port for port in random.SystemRandom().sample(PORTS, len(PORTS)) if port not in lent)
        found = list(islice(filter(is_free, wanted), count))
        lent.update(dict.fromkeys(found, time.time()))
    return found


@contextmanager
def _lent() -> Iterator[dict[int, float]]:
    """Ports that were given lately, with when; what is put in is kept. One process at a time, for milliseconds."""
    try:
        file = os.open(Path(tempfile.gettempdir()) / f"starling-ports-{os.getuid()}", _OWN_FILE, 0o600)
    except OSError:  # somebody else's, or no room: two that ask at once might draw the same, as without a list
        yield {}
        return
    with os.fdopen(file, "r+b") as kept:
        fcntl.flock(kept, fcntl.LOCK_EX)
        try:
            lent = msgspec.json.decode(kept.read(), type=dict[int, float])
        except msgspec.DecodeError:
            lent = {}  # new, or cut off by a kill
        now = time.time()
        lent = {port: at for port, at in lent.items() if abs(now - at) < LENT_SECONDS}
        yield lent
        kept.seek(0)
        kept.truncate()
        kept.write(msgspec.json.encode(lent))


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of the loopback interface."""
    with socket.socket() as one:
        # As the servers do; else a port closed a moment ago counts as taken.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, port))
        except OSError:
            return False
    return True


def refuse_taken(name: str, port: int) -> None:
    """Raise UserError where another process listens on the port."""
    if not is_free(port):
        raise UserError(f"port {port}, meant for {name}, is taken by another process")
