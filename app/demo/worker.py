"""The worker of a demo: `starling worker --role all`, a process of its own."""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from app.clients import tokens
from app.clients.people import write_person
from app.demo.children import log_file, starling, stop
from app.demo.interrupts import deaf, run_async
from app.demo.plan import WHO
from app.domain.people import Person, newcomer
from app.errors import UserError
from app.local.probe import web_answers
from app.local.server import free_ports
from app.settings import Settings, state_dir
from app.topics import EVENTS, full_name

READY_SECONDS = 90.0
# What a worker is told. Everything else of the environment that it could heed is kept from it.
_TOLD = (
    *("kafka", "cassandra", "topic_prefix", "keyspace", "partitions", "replication", "web_host", "web_port"),
    *("spool_dir", "sources", "x_url", "x_bearer_token", "x_backfill_minutes", "x_search"),
)
_KEPT_FROM_IT = ("STARLING_X_", "STARLING_BLUESKY_")


class Worker:
    """A running worker; `check` tells whether it still is."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, settings: Settings) -> None:
        self._process = process
        self.log = log
        self.settings = settings
        self._guest: Person | None = None

    @property
    def address(self) -> str:
        """Where its pages are."""
        return f"http://{self.settings.web_host}:{self.settings.web_port}"

    def check(self) -> None:
        """Raise UserError if it has ended."""
        status = self._process.poll()
        if status is not None:
            raise UserError(f"the worker ended with status {status}; see {self.log}")

    def wait_ready(self) -> None:
        """Wait until it says that it is ready. Raises UserError."""
        deadline = time.monotonic() + READY_SECONDS
        while not web_answers(self.settings.web_host, self.settings.web_port, "/readyz"):
            self.check()
            if time.monotonic() > deadline:
                raise UserError(f"the worker is not ready after {READY_SECONDS:.0f} s; see {self.log}")
            time.sleep(0.1)

    def wait_knows(self, events: int) -> None:
        """Wait until so many events are in its view: an event's posts are only found from then on. Raises UserError."""
        wanted = f'starling_view_records{{topic="{full_name(EVENTS, self.settings)}"}} {events:.1f}'
        deadline = time.monotonic() + READY_SECONDS
        while wanted not in self._page("/metrics"):
            self.check()
            if time.monotonic() > deadline:
                raise UserError(f"the worker does not know its events after {READY_SECONDS:.0f} s; see {self.log}")
            time.sleep(0.1)

    def _page(self, path: str) -> str:
        link = http.client.HTTPConnection(self.settings.web_host, self.settings.web_port, timeout=5)
        try:
            link.request("GET", path)
            return link.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            link.close()

    def link(self) -> str:
        """A link that signs somebody in, once, who may do everything in it. It ends none before. Raises Unavailable."""
        if self._guest is None:
            self._guest = newcomer("demo", "admin", WHO, datetime.now(UTC))
            run_async(write_person(self.settings, self._guest))
        return tokens.link(self.settings, self._guest)

    @property
    def told(self) -> str:
        """What a shell is told for commands to find this run."""
        names = [name for name in ("kafka", "cassandra") if f"STARLING_{name.upper()}" in os.environ]
        given = [
            f"STARLING_{name.upper()}={getattr(self.settings, name)}" for name in (*names, "topic_prefix", "keyspace")
        ]
        return f"export {' '.join(given)}"

    def stop(self) -> None:
        """End it, by force after a few seconds."""
        stop(self._process)


@contextmanager
def worker(settings: Settings) -> Iterator[Worker]:
    """Start a worker of all roles for these settings, on a free port; it ends with the context."""
    own = settings.model_copy(update={"web_port": free_ports(1)[0], "web_host": "127.0.0.1"})
    log = log_file(own.keyspace)
    with log.open("wb") as output:
        process = starling("worker", "--role", "all", env=environment(own), stdout=output, log=output)
    running = Worker(process, log, own)
    try:
        yield running
    finally:
        deaf()
        running.stop()


def environment(settings: Settings) -> dict[str, str]:
    """The environment of a process of this run."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_KEPT_FROM_IT)}
    own = {
        f"STARLING_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name in _TOLD
        if (value := getattr(settings, name)) is not None
    }
    return {**inherited, **own, "STARLING_STATE_DIR": str(state_dir()), "PYTHONUNBUFFERED": "1"}
