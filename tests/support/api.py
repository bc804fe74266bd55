"""The API as a program uses it: a person of each role, a worker, JSON."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any, NamedTuple

from app.clients import tokens
from app.clients.people import write_person
from app.domain.people import Person, Rank
from app.settings import Settings
from tests.support.waiting import until
from tests.support.workers import Worker

SECRET = "of a test, and at least 32 characters"  # noqa: S105 -- give it to `chain(..., token_secret=SECRET)`

FORM = "application/x-www-form-urlencoded"


class Replied(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Api:
    """What one person (or nobody) sends to a worker."""

    def __init__(self, worker: Worker, token: str | None) -> None:
        self.worker = worker
        self.token = token

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        media: str = "application/json",
    ) -> Replied:
        """Send a request; a body of bytes goes as it is."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.worker.port}{path}", data, method=method)
        if self.token is not None:
            request.add_header("Authorization", f"Bearer {self.token}")
        if data is not None:
            request.add_header("Content-Type", media)
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with _OPENER.open(request, timeout=60) as response:
                return Replied(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            return Replied(error.code, dict(error.headers), error.read())

    def get(self, path: str) -> Any:
        """The JSON of a path that must answer."""
        found = self.send("GET", path)
        assert found.status == 200, (path, found)
        return found.json

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        """The JSON that a request must be answered with."""
        found = self.send("POST", path, {} if body is None else body)
        assert found.status == status, (path, found)
        return found.json if found.body else None


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_Stay, urllib.request.ProxyHandler({}))


def person(settings: Settings, name: str, rank: Rank) -> Person:
    """Somebody, known to Kafka."""
    made = Person(name=name, rank=rank, added=datetime.now(UTC), by="a test")
    asyncio.run(write_person(settings, made))
    return made


def api(worker: Worker, name: str = "ada", rank: Rank = "admin") -> Api:
    """The API as somebody of this role uses it, who is made for it; returns once the worker knows them."""
    made = person(worker.settings, name, rank)
    caller = Api(worker, tokens.issue(SECRET, "bearer", name, made.epoch, 3600))
    until(lambda: caller.send("GET", "/api/v1/whoami").status == 200, f"{name} is known")
    return caller
