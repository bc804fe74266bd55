"""One client's connection. Bytes go straight to its transport: half a line can be written, or nothing at all."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import uuid4

from app.simulator.faults import Fault, Mood, Wire
from app.simulator.log import SENT

# A reader that lags behind by so much is disconnected, as sources do.
MOST_UNREAD = 64 * 1024 * 1024
_MOST_HELD = 100_000  # lines that a mood holds back; more are not sent

Pack = Callable[[Sequence[bytes]], bytes]
Tell = Callable[[str], None]  # is told why a line was not sent, or SENT


class Manner(NamedTuple):
    """How a wire puts lines into bytes."""

    pack: Pack  # lines, as the client is to read them
    alive: bytes  # a sign of life
    farewell: bytes  # ends the connection in good order
    broken: bytes  # a line that is no JSON
    limit: Callable[[int], bytes]  # tells how many posts were withheld so far; empty: the wire has no such message
    disconnect: Callable[[int], bytes]  # tells that it will end; the number is a code of v1.1


class _Dripping(NamedTuple):
    left: bytes
    tell: Tell | None


class Connection:
    """A connection from its acceptance to its end. Lines wait until `flush`, so that many are one write."""

    def __init__(self, wire: Wire, manner: Manner, transport: asyncio.Transport, peer: str) -> None:
        self.id = str(uuid4())
        self.wire = wire
        self.peer = peer
        self.since = time.time()
        self.until: float | None = None
        self.why = ""
        self.sent = 0  # posts
        self.withheld = 0  # posts, since the connection began
        self.gone = asyncio.Event()  # the server has no more to do with it
        self._manner = manner
        self._transport = transport
        self._lines: list[bytes] = []
        self._mood: Mood | None = None
        self._mood_until = 0.0
        self._drips: deque[_Dripping] = deque()
        self._dripping: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether it is over for the account, though its socket may still be there."""
        return self.until is not None

    @property
    def mood(self) -> Mood | None:
        """How it misbehaves now."""
        if self._mood is not None and time.monotonic() >= self._mood_until:
            self.recover()
        return self._mood

    @property
    def unread(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._transport.get_write_buffer_size()

    def misbehave(self, fault: Fault, mood: Mood, until: float) -> None:
        """Take on a mood."""
        self.flush()
        self._mood, self._mood_until = mood, until
        if mood in ("half_open", "slow_drip"):
            self._transport.pause_reading()  # also: no answer to a ping may fall between dripping bytes
        if mood == "slow_drip" and self._dripping is None:
            self._dripping = asyncio.create_task(self._drip(fault.interval))

    def recover(self) -> None:
        """Be good again; what was held back goes out at once."""
        if self._mood in ("half_open", "slow_drip") and not self._transport.is_closing():
            self._transport.resume_reading()
        self._mood = None
        if self.ended:  # while it was half-open
            self._transport.close()
            self.gone.set()
        while self._drips:
            left, tell = self._drips.popleft()
            self._transport.write(left)
            if tell:
                tell(SENT)

    def offer(self, line: bytes, tell: Tell) -> None:
        """Send a post, or not."""
        mood = self.mood
        if self.ended or self._transport.is_closing():
            tell("not connected")
        elif mood is None:
            self._lines.append(line)
            tell(SENT)
        elif mood in ("slow_drip", "stall") and len(self._drips) < _MOST_HELD:
            self._drips.append(_Dripping(self._manner.pack([line]), tell))
        else:
            tell(mood)

    def say(self, line: bytes) -> None:
        """Send a message about the stream; nothing where it is empty."""
        if line:
            self.offer(line, lambda _: None)

    def keep_alive(self) -> None:
        """Send a sign of life, unless it is silent."""
        mood = self.mood
        if self.ended or mood in ("silence", "half_open"):
            return
        if mood == "slow_drip":
            self._drips.append(_Dripping(self._manner.alive, None))
        else:
            self.flush()
            self._transport.write(self._manner.alive)

    def flush(self) -> None:
        """Write what waits."""
        if self._lines:
            self._transport.write(self._manner.pack(self._lines))
            self._lines.clear()
            if self.unread > MOST_UNREAD:
                self.end("too slow")

    def cut(self, line: bytes, tell: Tell) -> None:
        """Close in the middle of a line."""
        self.flush()
        packed = self._manner.pack([line])
        self._transport.write(packed[: len(packed) // 2])
        tell("cut")
        self._over("cut")
        self._transport.close()

    def withhold(self) -> None:
        """Keep a post back, and tell how many that makes since the connection began."""
        self.withheld += 1
        self.say(self._manner.limit(self.withheld))

    def disconnect(self, why: str, code: int) -> None:
        """Tell that it will end, and end it."""
        self.end(why, self._manner.disconnect(code))

    def babble(self) -> None:
        """Send a line that is broken."""
        self.say(self._manner.broken)

    def end(self, why: str, last: bytes = b"") -> None:
        """Close in good order, after a last message perhaps; a half-open one is left as it is, what waits is cut."""
        if self.ended:
            return
        if (mood := self.mood) in ("half_open", "slow_drip", "stall"):
            self._over(why)
            if mood != "half_open":
                self._transport.close()
            return
        self.recover()
        if last:
            self._lines.append(last)
        self.flush()
        self._over(why)
        self._transport.write(self._manner.farewell)
        self._transport.close()

    def lost(self) -> None:
        """The client has closed it."""
        self._over("closed by the client")
        self.gone.set()

    def _over(self, why: str) -> None:
        if self.until is None:
            self.until, self.why = time.time(), why
        if self._dripping:
            self._dripping.cancel()
        while self._drips:
            if tell := self._drips.popleft().tell:
                tell(self._mood or "slow_drip")
        if self._mood != "half_open":
            self.gone.set()

    async def _drip(self, interval: float) -> None:
        while self.mood == "slow_drip":
            if self._drips:
                left, tell = self._drips.popleft()
                self._transport.write(left[:1])
                if len(left) > 1:
                    self._drips.appendleft(_Dripping(left[1:], tell))
                elif tell:
                    tell(SENT)
            await asyncio.sleep(interval)
        self._dripping = None
