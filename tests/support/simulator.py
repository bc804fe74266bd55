"""The simulator of live sources as a process of its own, and what tests ask of it. Plain HTTP, nothing of asyncio."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

from app.demo.children import port_of, starling, stop
from tests.support.orphans import end_with_us
from tests.support.waiting import until

_ROOT = Path(__file__).parent.parent.parent


class Simulator:
    """A context manager. No post arises by itself unless `posts` says how many (None: without end): tests push theirs.

    Arguments are those of `starling simulate`.
    """

    def __init__(self, *arguments: str, posts: int | None = 0, token: str | None = None) -> None:
        self.token = token
        self.arguments = ["simulate", "--json", *arguments]
        if posts is not None:
            self.arguments += ["--posts", str(posts)]
        if token is not None:
            self.arguments += ["--token", token]

    def __enter__(self) -> Simulator:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("STARLING_")}
        self.process = starling(*self.arguments, env=inherited | {"PYTHONPATH": str(_ROOT)}, stdout=subprocess.PIPE)
        end_with_us(self.process.pid)
        port = port_of(self.process)
        assert port is not None, f"the simulator ended with {self.process.wait(10)}"
        self.port = port
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def push(self, lines: Iterable[bytes | str | dict[str, Any]], *, rate: float = 0, **query: str) -> dict[str, Any]:
        """Have posts arise, each as it is; with a rate, one after the other. With raw="1", wire="x": whatever line."""
        body = b"\n".join(_line(line) for line in lines)
        query = query | ({"rate": str(rate)} if rate else {})
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return self._ask("POST", f"/control/posts?{text}", body)

    def gone(self, **reasons: str) -> None:
        """What X's compliance jobs are to say of posts, by id."""
        self._ask("POST", "/control/gone", "\n".join(f"{number} {why}" for number, why in reasons.items()).encode())

    def fault(self, kind: str, **more: Any) -> None:
        """Have something go wrong, as docs/simulator.md says."""
        self._ask("POST", "/control/fault", json.dumps({"kind": kind, **more}).encode())

    def log(self, since: int = 0, what: str | None = None) -> list[dict[str, Any]]:
        """Entries of the log after a number, of one kind or all."""
        entries: list[dict[str, Any]] = self._ask("GET", f"/control/log?since={since}")["entries"]
        return [entry for entry in entries if what in (None, entry["what"])]

    def state(self) -> dict[str, Any]:
        return self._ask("GET", "/control/state")

    def rules(self) -> list[dict[str, str]]:
        """Rules in force at X."""
        rules: list[dict[str, str]] = self.state()["rules"]
        return rules

    def remove_rules(self, *values: str) -> None:
        """Remove rules as another program of the account does."""
        body = json.dumps({"delete": {"values": values}}).encode()
        self._ask("POST", "/2/tweets/search/stream/rules", body)

    def connections(self, wire: str | None = None) -> list[dict[str, Any]]:
        """Who is connected."""
        return [one for one in self.state()["connections"] if wire in (None, one["wire"])]

    def changes(self, wire: str) -> list[str]:
        """What became of connections, and of those that were refused, in their order: "connected", "ended cut", …"""
        told = [entry for entry in self.log(what="connection") if entry["wire"] == wire]
        return [f"{entry['change']} {entry['why']}".strip() for entry in told]

    def intrude(self, wire: str) -> HTTPResponse:
        """Connect as another program of the account does; to be closed."""
        made = HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/x-www-form-urlencoded"}
        if wire == "x":
            made.request("GET", "/2/tweets/search/stream", headers=headers)
        else:
            made.request("POST", "/1.1/statuses/filter.json", "track=nothing+of+ours", headers)
        answer = made.getresponse()
        assert answer.status == 200
        return answer

    def wait(self, truth: Callable[[dict[str, Any]], Any], what: str, seconds: float = 90) -> dict[str, Any]:
        """The first state of which something is true."""
        return until(lambda: state if truth(state := self.state()) else None, what, seconds, pause=0.02)

    def wait_connected(self, wire: str = "x", seconds: float = 90) -> None:
        """Return once somebody listens."""
        until(lambda: self.connections(wire), f"somebody listens to {wire}", seconds, pause=0.02)

    def due(self, wire: str = "x") -> dict[str, set[str]]:
        """By tag, ids of posts that matched and were sent: what must have been collected."""
        found: dict[str, set[str]] = {}
        for entry in self.log(what="post"):
            if entry["wire"] == wire and entry["sent"]:
                for tag in entry["tags"]:
                    found.setdefault(tag, set()).add(entry["id"])
        return found

    def missed(self, wire: str = "x") -> dict[str, set[str]]:
        """By tag, ids of posts that matched and were never sent."""
        due = self.due(wire)
        found: dict[str, set[str]] = {}
        for entry in self.log(what="post"):
            if entry["wire"] == wire and not entry["sent"]:
                for tag in entry["tags"]:
                    if entry["id"] not in due.get(tag, ()):
                        found.setdefault(tag, set()).add(entry["id"])
        return found

    def stop(self) -> None:
        stop(self.process)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 -- it is http
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from None
        return answer


def _line(line: bytes | str | dict[str, Any]) -> bytes:
    if isinstance(line, dict):
        return json.dumps(line).encode()
    return line.encode() if isinstance(line, str) else line
