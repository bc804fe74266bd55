"""What is to go wrong, as it was commanded: read, checked, and counted down."""

from __future__ import annotations

import time
from typing import Literal, TypeAlias, get_args

import msgspec
from msgspec import Struct

Wire: TypeAlias = Literal["x", "v1", "jetstream"]
WIRES: tuple[Wire, ...] = get_args(Wire)
# How a connection misbehaves for a time.
Mood: TypeAlias = Literal["silence_with_keepalive", "silence", "half_open", "slow_drip", "stall"]
MOODS: tuple[Mood, ...] = get_args(Mood)
Kind: TypeAlias = Literal[
    "silence_with_keepalive",
    "silence",
    "half_open",
    "slow_drip",
    "stall",
    "cut",
    "end",
    "status",
    "rules_status",
    "too_many_connections",
    "evict",
    "duplicates",
    "limit",
    "disconnect",
    "long_line",
    "malformed",
    "clear",
]


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """A fault as `POST /control/fault` takes it."""

    kind: Kind
    wire: Literal["x", "v1", "jetstream", "all"] = "all"
    seconds: float | None = None  # how long a mood lasts; without, until `clear`
    count: int = 1  # posts or requests that it hits
    status: int = 503
    interval: float = 0.2  # seconds between the bytes of slow_drip
    later: bool = False  # a mood also takes hold of connections made while it lasts
    code: int = 0  # of v1.1's disconnect message; 0: 12, shed load
    retry_after: int | None = None  # seconds, told with the status


class BadFault(Exception):
    """The command is none; the message says what is wrong with it."""


def read_fault(body: bytes) -> Fault:
    """The fault that a request asks for. Raises BadFault."""
    try:
        fault = msgspec.json.decode(body, type=Fault)
    except msgspec.DecodeError as wrong:
        raise BadFault(str(wrong)) from None
    if fault.count < 1 or fault.interval <= 0 or not (fault.seconds is None or fault.seconds > 0):
        raise BadFault("count, interval and seconds must be above 0")
    if not 400 <= fault.status <= 599:
        raise BadFault("status must be an error of HTTP, 400 to 599")
    return fault


class Pending(Struct):
    """What is still to go wrong on one wire."""

    statuses: list[tuple[int, int | None]] = []  # of the next connects, with Retry-After
    rules_statuses: list[tuple[int, int | None]] = []  # of the next requests for rules
    too_many: int = 0  # connects to be refused
    evicts: bool = False  # a second connection ends the first
    duplicates: int = 0  # posts to be sent twice
    withhold: int = 0  # posts to be kept back
    long_lines: int = 0
    cuts: int = 0
    mood: Fault | None = None  # for connections to come
    mood_until: float = 0.0

    def take(self, fault: Fault) -> None:
        """Note a fault that hits posts or connects to come."""
        match fault.kind:
            case "status":
                self.statuses += [(fault.status, fault.retry_after)] * fault.count
            case "rules_status":
                self.rules_statuses += [(fault.status, fault.retry_after)] * fault.count
            case "too_many_connections":
                self.too_many += fault.count
            case "evict":
                self.evicts = True
            case "duplicates":
                self.duplicates += fault.count
            case "limit":
                self.withhold += fault.count
            case "long_line":
                self.long_lines += fault.count
            case "cut":
                self.cuts += 1
            case kind if kind in MOODS and fault.later:
                self.mood = fault
                self.mood_until = time.monotonic() + (fault.seconds or float("inf"))

    def mood_now(self) -> tuple[Fault, float] | None:
        """The mood that takes hold of a new connection, and until when."""
        if self.mood is None or time.monotonic() >= self.mood_until:
            return None
        return self.mood, self.mood_until
