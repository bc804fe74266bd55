"""One wire's account: who is connected, what goes wrong, and the way of a post to those who hear it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import msgspec
from msgspec import Struct

from app.simulator.connections import Connection
from app.simulator.faults import MOODS, Fault, Pending, Wire
from app.simulator.log import Log

_LONG = 300 * 1024  # bytes that long_line adds
_ATTEMPTS_WITHIN = 60.0  # seconds
_EVICTED, _SHED = 7, 12  # codes of v1.1
_KEPT = 1000  # connections of the past


class Refusal(NamedTuple):
    """Why a connect is refused, for the wire to put in its words."""

    status: int
    too_many: bool = False  # connections
    retry_after: int | None = None


class Manners(Struct, frozen=True):
    """How strict an account is."""

    connections: int  # at once; 0 for any number
    evicts: bool = False  # a connection too many ends the oldest, instead of being refused
    too_many: int = 429  # status of a connection too many
    attempts: int = 0  # connects a minute, beyond which they are refused; 0 for any number


class Arisen(Struct):
    """A post, as the log and backfill need it."""

    id: str
    tags: tuple[str, ...]
    line: bytes
    at: float
    sent: bool = False


class Account:
    """Connections of one wire, live and past."""

    def __init__(self, wire: Wire, manners: Manners, log: Log) -> None:
        self.wire = wire
        self.log = log
        self.live: list[Connection] = []
        self.past: deque[Connection] = deque(maxlen=_KEPT)
        self.pending = Pending(evicts=manners.evicts)
        self._manners = manners
        self._attempts: deque[float] = deque()

    def admit(self) -> Refusal | None:
        """Whether somebody may connect now; makes room for them where that is the wire's way."""
        refusal = self._refusal()
        if refusal is not None:
            self.log.connection(self.wire, "refused", "", f"{refusal.status}")
            return refusal
        most = self._manners.connections
        while most and len(self.live) >= most:
            oldest = self.live[0]
            oldest.disconnect("evicted", _EVICTED)
            self._leave(oldest)
        return None

    def _refusal(self) -> Refusal | None:
        pending, now = self.pending, time.monotonic()
        self._attempts.append(now)
        while self._attempts[0] < now - _ATTEMPTS_WITHIN:
            self._attempts.popleft()
        if pending.statuses:
            status, retry_after = pending.statuses.pop(0)
            return Refusal(status, retry_after=retry_after)
        if pending.too_many:
            pending.too_many -= 1
            return Refusal(self._manners.too_many, too_many=True)
        if self._manners.attempts and len(self._attempts) > self._manners.attempts:
            return Refusal(self._manners.too_many, retry_after=int(_ATTEMPTS_WITHIN))
        if self._manners.connections and len(self.live) >= self._manners.connections and not pending.evicts:
            return Refusal(self._manners.too_many, too_many=True)
        return None

    def join(self, connection: Connection) -> None:
        """Somebody is connected."""
        self.live.append(connection)
        self.log.connection(self.wire, "connected", connection.id)
        if mood := self.pending.mood_now():
            fault, until = mood
            _catch(connection, fault, until)

    async def stay(self, connection: Connection, keep_alive: float) -> None:
        """Return at the connection's end. Gives signs of life meanwhile; cancelled when the client has gone."""
        try:
            while not connection.gone.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(connection.gone.wait(), keep_alive)
                if connection.ended:
                    self._leave(connection)
                else:
                    connection.keep_alive()
        finally:
            connection.lost()
            self._leave(connection)

    def spread(self, post: Arisen, listeners: Sequence[Connection], *, again: bool = False) -> None:
        """Send a post to those who listen, unless a fault is in the way; log which."""
        if not listeners:
            self._told(post, None, again, "not connected")
            return
        line, pending = post.line, self.pending
        twice = False
        if all(connection.mood is None for connection in listeners):
            if pending.withhold:
                pending.withhold -= 1
                for connection in listeners:
                    self._told(post, connection, again, "limit")
                    connection.withhold()
                return
            if pending.cuts:
                pending.cuts -= 1
                for connection in tuple(listeners):
                    connection.cut(line, partial(self._told, post, connection, again))
                    self._leave(connection)
                return
            if pending.long_lines:
                pending.long_lines -= 1
                line = b'%b,"simulated":"%b"}' % (line[:-1], b"x" * _LONG)
            if pending.duplicates:
                pending.duplicates -= 1
                twice = True
        for connection in listeners:
            connection.offer(line, partial(self._told, post, connection, again))
            if twice:
                connection.offer(line, partial(self._told, post, connection, True))

    def flush(self) -> None:
        """Write what waits."""
        for connection in tuple(self.live):
            connection.flush()
            if connection.ended:
                self._leave(connection)

    def command(self, fault: Fault) -> None:
        """Have something go wrong."""
        kind = fault.kind
        if kind == "limit" and self.wire == "jetstream":
            return  # it withholds nothing
        self.log.fault(kind, self.wire)
        if kind == "clear":
            self.pending = Pending(evicts=self._manners.evicts)
        elif kind == "disconnect" and self.wire != "jetstream" and not fault.code:
            fault = msgspec.structs.replace(fault, code=_SHED)
        self.pending.take(fault)
        until = time.monotonic() + (fault.seconds or float("inf"))
        for connection in tuple(self.live):
            if kind in MOODS:
                _catch(connection, fault, until)
            elif kind == "clear":
                connection.recover()
            elif kind == "end":
                self.end(connection, "end")
            elif kind == "disconnect":
                connection.disconnect("disconnect", fault.code)
                self._leave(connection)
            elif kind == "malformed":
                for _ in range(fault.count):
                    connection.babble()
        if kind == "clear":
            for connection in self.past:
                connection.recover()  # one that was given up while it was half-open
        self.flush()

    def end(self, connection: Connection, why: str) -> None:
        """End a connection in good order."""
        connection.end(why)
        self._leave(connection)

    def _leave(self, connection: Connection) -> None:
        if connection in self.live:
            self.live.remove(connection)
            self.past.append(connection)
            self.log.connection(self.wire, "ended", connection.id, connection.why)

    def _told(self, post: Arisen, connection: Connection | None, again: bool, why: str) -> None:
        if not why and connection is not None:
            post.sent = True
            connection.sent += 1
        name = connection.id if connection else ""
        self.log.post(self.wire, post.id, post.tags, at=post.at, connection=name, why=why, again=again)


def _catch(connection: Connection, fault: Fault, until: float) -> None:
    for mood in MOODS:
        if mood == fault.kind:
            connection.misbehave(fault, mood, until)
