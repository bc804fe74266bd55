"""What Jetstream can replay: the newest events, each with its number and the moment it was witnessed."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from datetime import UTC, datetime
from typing import Any

import orjson
from msgspec import Struct

_NAME = "network.bsky.jetstream.subscribeEvents"
KINDS = ("commit", "identity", "account", "sync")


class Event(Struct, frozen=True):
    """Something that happened on the network."""

    seq: int
    time_us: int
    did: str
    kind: str
    what: dict[str, Any]  # the commit, or what is said of the account

    @property
    def name(self) -> str:
        """What identifies it in the log."""
        if self.kind != "commit":
            return self.did
        return f"at://{self.did}/{self.what.get('collection')}/{self.what.get('rkey')}"

    @property
    def tags(self) -> tuple[str, ...]:
        """What the log calls it: create, update, delete; else its kind."""
        return (self.what.get("operation", "commit") if self.kind == "commit" else self.kind,)

    def v1(self) -> bytes:
        """As the older wire writes it."""
        what = self.what if self.kind == "commit" else self._upstream()
        return orjson.dumps({"did": self.did, "time_us": self.time_us, "kind": self.kind, self.kind: what})

    def v2(self) -> bytes:
        """As the newer wire writes it."""
        at = _iso(self.time_us)
        payload = {"$type": f"{_NAME}#{self.kind}", "seq": self.seq, "did": self.did, "time": at, "witnessedAt": at}
        payload |= self.what if self.kind == "commit" else {self.kind: self._upstream()}
        return orjson.dumps({"$type": "message", "payload": payload})

    def _upstream(self) -> dict[str, Any]:
        return {"did": self.did, "seq": self.seq, "time": _iso(self.time_us)} | self.what


def info(name: str, message: str) -> bytes:
    """A notice of the newer wire; it has no number."""
    return orjson.dumps({"$type": "message", "payload": {"$type": f"{_NAME}#info", "name": name, "message": message}})


class Archive:
    """The newest events, in the order in which they came."""

    def __init__(self, size: int) -> None:
        self._events: deque[Event] = deque(maxlen=size)
        self.next_seq = 1
        self._last_us = 0

    @property
    def floor(self) -> int:
        """The oldest number that can be replayed."""
        return self._events[0].seq if self._events else self.next_seq

    def add(self, body: dict[str, Any]) -> Event:
        """Witness an event, in the form of either wire; numbers and times that it has already are not kept."""
        self._last_us = max(self._last_us + 1, int(time.time() * 1e6))
        did, kind, what = _read(body)
        event = Event(self.next_seq, self._last_us, did, kind, what)
        self.next_seq += 1
        self._events.append(event)
        return event

    def since_seq(self, seq: int) -> list[Event]:
        """Events from this number on."""
        skipped = max(0, seq - self.floor)
        return [*self._events][skipped:]

    def since_us(self, at_us: int) -> tuple[list[Event], bool]:
        """Events from this moment on, and whether older ones were asked for than there are."""
        events = [*self._events]
        start = bisect_left(events, at_us, key=lambda event: event.time_us)
        return events[start:], bool(events) and at_us < events[0].time_us


def _read(body: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The account, the kind, and what happened."""
    if "kind" in body:
        return body["did"], body["kind"], body.get(body["kind"]) or {}
    payload = dict(body["payload"])
    kind = payload.pop("$type").rpartition("#")[2]
    for name in ("seq", "time", "witnessedAt"):
        payload.pop(name, None)
    did = payload.pop("did")
    return did, kind, payload if kind == "commit" else payload.get(kind) or {}


def _iso(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%S}.{at_us % 1_000_000:06}Z"
