"""The live source of a demo: `starling simulate` speaks X API v2, as a process of its own; and what is asked of it."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from pydantic import SecretStr

from app.demo.children import log_file, port_of, starling, stop
from app.demo.interrupts import deaf
from app.demo.worker import environment
from app.errors import UserError
from app.settings import Settings

WAIT_SECONDS = 60.0
_LOOK = 0.05
_ANSWER_SECONDS = 10.0


class Source:
    """A running simulator. Every call raises UserError where it does not answer."""

    def __init__(self, port: int, log: Path, token: str) -> None:
        self._address = f"http://127.0.0.1:{port}"
        self._token = token
        self.log_file = log

    def heard_by(self, settings: Settings) -> Settings:
        """The settings of a worker that listens to it, and to nothing else."""
        own = {
            "sources": "x",
            "x_url": self._address,
            "x_bearer_token": SecretStr(self._token),
            "x_backfill_minutes": 0,  # what a cut loses shall be a gap, and be told
            "x_search": False,
            "x_reads_soft": None,
            "x_reads_hard": None,
        }
        return settings.model_copy(update=own)

    def push(self, lines: Iterable[bytes], rate: float) -> None:
        """Have posts arise one after the other, so many a second."""
        self._ask(f"/control/posts?wire=x&rate={rate}", b"\n".join(lines))

    def cut(self) -> None:
        """Break the connection off in the middle of the next post."""
        self._ask("/control/fault", json.dumps({"kind": "cut", "wire": "x"}).encode())

    def entries(self) -> list[dict[str, Any]]:
        """The log: each post with the rules in force that it matched, and each change of rules."""
        entries: list[dict[str, Any]] = self._ask("/control/log")["entries"]
        return entries

    def wait(
        self,
        truth: Callable[[dict[str, Any]], bool],
        what: str,
        check: Callable[[], None],
        seconds: float = WAIT_SECONDS,
    ) -> None:
        """Return once something is true of its state; `check` is called meanwhile."""
        deadline = time.monotonic() + seconds
        while not truth(self._ask("/control/state")):
            check()
            if time.monotonic() > deadline:
                raise UserError(f"not after {seconds:.0f} s: {what}")
            time.sleep(_LOOK)

    def _ask(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        request = Request(self._address + path, data=body)  # noqa: S310 -- it is http
        try:
            with urlopen(request, timeout=_ANSWER_SECONDS) as response:  # noqa: S310
                answer: dict[str, Any] = json.load(response)
        except (URLError, OSError, ValueError) as error:
            raise UserError(f"the simulated source does not answer ({error}); see {self.log_file}") from None
        return answer


@contextmanager
def source(settings: Settings) -> Iterator[Source]:
    """Start a source on a free port of this machine, at which nothing happens before it is asked to; it ends with the
    context. Raises UserError.
    """
    token = secrets.token_urlsafe(12)
    log = log_file(f"{settings.keyspace}-source")
    with log.open("wb") as output:
        process = starling(
            *("simulate", "--json", "--posts", "0", "--wires", "x", "--token", token),
            env=environment(settings),
            stdout=subprocess.PIPE,
            log=output,
        )
    try:
        port = port_of(process)
        if port is None:
            raise UserError(f"the simulated source does not start; see {log}")
        yield Source(port, log, token)
        log.unlink(missing_ok=True)
    finally:
        deaf()
        stop(process)
