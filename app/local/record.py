"""What runs, as remembered in `stack.json`: addresses, which `app.settings` reads, and processes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import UserError
from app.local import docker
from app.local.process import Process

PROCESSES = "processes"


@dataclass(frozen=True)
class Part:
    """A server or worker that was started: a process, or a container."""

    address: str  # host:port
    since: float  # seconds since 1970
    process: Process | None = None
    container: str | None = None

    def alive(self) -> bool:
        """Tell whether it still runs; not whether it answers."""
        if self.process is not None:
            return self.process.alive()
        return self.container is not None and docker.runs(self.container)

    def stop(self, patience: float) -> None:
        """End it, by force after `patience` seconds."""
        if self.process is not None:
            self.process.stop(patience)
        elif self.container is not None:
            docker.remove(self.container)


class Record:
    """The parts in a `stack.json`, by name. Every change is written at once, so that a killed `up` leaves no orphan."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._parts = _read(file)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._parts))

    def get(self, name: str) -> Part | None:
        """The part of this name, if it was started."""
        return self._parts.get(name)

    def put(self, name: str, part: Part) -> None:
        """Remember a part."""
        self._parts[name] = part
        self._write()

    def drop(self, name: str) -> None:
        """Forget a part."""
        self._parts.pop(name, None)
        self._write()

    def _write(self) -> None:
        if not self._parts:
            self._file.unlink(missing_ok=True)
            return
        told: dict[str, Any] = {name: part.address for name, part in self._parts.items() if name != "worker"}
        told[PROCESSES] = {name: _plain(part) for name, part in self._parts.items()}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(json.dumps(told, indent=2) + "\n")
        fresh.replace(self._file)


def read_child(file: Path) -> Process | None:
    """The worker that a supervisor named in `file`."""
    try:
        return Process(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _plain(part: Part) -> dict[str, Any]:
    owner = {"container": part.container} if part.process is None else vars(part.process)
    return {"address": part.address, "since": part.since, **owner}


def _read(file: Path) -> dict[str, Part]:
    try:
        told = json.loads(file.read_text())[PROCESSES]
        return {name: _part(**fields) for name, fields in told.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{file} is not readable; remove it, and end what still runs by hand") from None


def _part(address: str, since: float, pid: int = 0, started: str = "", container: str | None = None) -> Part:
    return Part(address, since, Process(pid, started) if container is None else None, container)
