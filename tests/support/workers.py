"""Real workers: `starling worker` as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.local.server import free_ports
from app.settings import Settings
from tests.support.orphans import end_with_us
from tests.support.place import environment
from tests.support.waiting import until

STARLING = Path(sys.executable).with_name("starling")
NO_ANSWER = 0
LOG_SHOWN = 6000


class Worker:
    """A worker process. A restart takes another web port, as the old one may still be held."""

    def __init__(self, settings: Settings, role: str, command: list[str] | None = None) -> None:
        self.settings = settings
        self.role = role
        self.command = command or [str(STARLING)]
        with tempfile.NamedTemporaryFile(prefix=f"starling-{role}-", suffix=".log", delete=False) as file:
            self.log_file = Path(file.name)
        self._start()

    def _start(self) -> None:
        (self.port,) = free_ports(1)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("STARLING_")}
        chosen = self.settings.model_copy(update={"web_port": self.port, "log_format": "json"})
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "worker", "--role", self.role],
                env=inherited | environment(chosen) | {"STARLING_STATE_DIR": str(self.log_file.parent / "none")},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end_with_us(self.process.pid)

    @property
    def log(self) -> str:
        """Everything that it (and what ran here before it) has logged."""
        return self.log_file.read_text(errors="replace")

    def complaints(self) -> list[dict[str, Any]]:
        """Log entries that are warnings or worse; a line that is no log entry (a traceback) counts as one."""
        found = []
        for line in self.log.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"level": "unformatted", "event": line}
            if entry.get("level") not in ("info", "debug"):
                found.append(entry)
        return found

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of one of its pages; NO_ANSWER where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return NO_ANSWER, ""

    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_ready(self, seconds: float = 180) -> Worker:
        """Return once /readyz says so."""

        def ready() -> bool:
            assert self.alive(), f"{self.role} ended with {self.process.returncode}\n{self.log[-LOG_SHOWN:]}"
            return self.get("/readyz")[0] == 200

        until(ready, f"{self.role} is ready", seconds, pause=0.05)
        return self

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(30)

    def term(self, seconds: float = 30) -> int:
        """SIGTERM; its exit status."""
        self.process.terminate()
        return self.process.wait(seconds)

    def restart(self, command: list[str] | None = None) -> None:
        """Start it anew, by another command if told; it must have ended."""
        assert not self.alive()
        self.command = command or [str(STARLING)]
        self._start()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def worker(settings: Settings, role: str = "all", command: list[str] | None = None) -> Iterator[Worker]:
    """A worker for the length of a block, killed in the end; its log is shown where the block fails."""
    made = Worker(settings, role, command)
    try:
        yield made
    except BaseException:
        print(f"--- log of {role}\n{made.log[-LOG_SHOWN:]}")
        raise
    finally:
        if made.alive():
            made.kill()
        made.log_file.unlink()
