"""Which processes there are, as each tells of itself, and the versions of events that each has in force.

Two records a process: a small one that is repeated every few seconds, and one of versions that is told only when they
have changed, so that a thousand events cost nothing while they rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec
from msgspec import Struct

from app.domain.coverage import SourceStatus, as_of
from app.domain.events import Event

TOLD_SECONDS = 3.0
SILENT_MS = 12_000  # four signs of life
FORGOTTEN_MS = 600_000


class Process(Struct, kw_only=True, omit_defaults=True, frozen=True, tag="process"):
    """A process, as it was at `at`. Times are milliseconds since 1970."""

    id: str
    role: str
    holder: str  # host and process
    release: str  # of Starling
    since: int
    at: int
    partitions: dict[str, tuple[int, ...]] = {}  # by topic, without the prefix
    waits: tuple[str, ...] = ()  # for what it waits before it can do its work
    lease: bool | None = None  # whether it has the lease of the tracker; None: it does not track

    @property
    def key(self) -> str:
        """Key of its record in `presence`."""
        return self.id

    def silent(self, now: int) -> bool:
        """Whether it has not told of itself for too long: killed, frozen, or cut off from Kafka."""
        return now - self.at > SILENT_MS


class Versions(Struct, kw_only=True, frozen=True, tag="versions"):
    """The version of each event that a process has in force."""

    process: str  # its id
    at: int
    events: dict[str, int]

    @property
    def key(self) -> str:
        """Key of its record in `presence`."""
        return f"{self.process}|versions"


Entry: TypeAlias = Process | Versions
_decode = msgspec.json.Decoder(Entry).decode


class Holding(Struct, frozen=True):
    """The version of an event that a process or a source has in force; None where it does not know the event."""

    who: str
    role: str  # of the process; "source" for a live source
    version: int | None
    lags: bool


def entry(value: bytes) -> Entry:
    """An entry of `presence`. Raises msgspec.DecodeError."""
    decoded: Entry = _decode(value)
    return decoded


def processes(entries: Iterable[Entry], now: int) -> list[Process]:
    """The processes that have told of themselves lately, by role and age; silent ones too, until they are forgotten."""
    known = [one for one in entries if isinstance(one, Process) and now - one.at < FORGOTTEN_MS]
    return sorted(known, key=lambda one: (one.role, one.since, one.id))


def forgotten(entries: Iterable[Entry], now: int) -> list[str]:
    """Keys of what processes have left that were killed long ago."""
    entries = list(entries)
    alive = {one.id for one in entries if isinstance(one, Process) and now - one.at < FORGOTTEN_MS}
    return [
        one.key
        for one in entries
        if (one.id if isinstance(one, Process) else one.process) not in alive and now - one.at >= FORGOTTEN_MS
    ]


class Holders:
    """The live processes and the sources that are listened to, looked up once for many events."""

    def __init__(self, entries: Iterable[Entry], statuses: Iterable[SourceStatus], now: int) -> None:
        entries = list(entries)
        versions = {one.process: one.events for one in entries if isinstance(one, Versions)}
        alive = [one for one in processes(entries, now) if not one.silent(now)]
        self._processes = [(one, versions.get(one.id, {})) for one in alive]
        self._sources = [one for one in statuses if as_of(one, now).state in ("listening", "quiet", "blind")]

    def of(self, event: Event) -> list[Holding]:
        """What each has in force of an event."""
        found = []
        for process, versions in self._processes:
            version = versions.get(event.code)
            found.append(Holding(process.holder, process.role, version, version is None or version < event.version))
        for status in self._sources:
            version = status.events.get(event.code)
            due = event.version if event.collecting else None  # an event that rests is asked for nowhere
            found.append(Holding(status.source, "source", version, version != due))
        return found


def holdings(event: Event, entries: Iterable[Entry], statuses: Iterable[SourceStatus], now: int) -> list[Holding]:
    """What every live process, and every source that is listened to, has in force of an event."""
    return Holders(entries, statuses, now).of(event)


def name_of(process: Process, others: Iterable[Process]) -> str:
    """The name of a process for a person: its role, and its number among those of the role."""
    same = [one.id for one in others if one.role == process.role]
    return f"{process.role} {same.index(process.id) + 1}" if len(same) > 1 else process.role
