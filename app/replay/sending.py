"""Sends files of posts to `raw_tweets`; what is remembered as sent, Kafka has confirmed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from msgspec import Struct, field

from app.clients.kafka import admin, producer, unreachable
from app.domain.events import Event
from app.domain.records import Headers, raw_headers
from app.errors import Unavailable, UserError
from app.replay.files import Address
from app.replay.flight import Flight
from app.replay.lines import LINE_LIMIT, JsonLines, Place
from app.replay.pacing import Pace
from app.replay.packing import Packer, Record
from app.replay.positions import PositionFile
from app.replay.tables import open_lines
from app.settings import Settings, state_dir
from app.topics import RAW, full_name

POSITION_SECONDS = 1.0  # a kill repeats what was confirmed since
_LOOK_SECONDS = 0.2
_SHORTEST_SLEEP = 0.001  # about the clock of an event loop; the pace evens it out


class Job(NamedTuple):
    """What to send, and how."""

    files: Sequence[Address]
    pace: Callable[[], Pace]  # a new one for each file
    source: str = "replay"
    loop: bool = False
    fresh: bool = False
    importing: Event | None = None  # the only one that it is for; None: a replay


class Reached(Struct):
    """How far a file came."""

    line: int
    finished: bool


class Sent(Struct):
    """What a replay did. `lines` are those that Kafka confirmed; `skipped` ones were too long for a record."""

    lines: int = 0
    skipped: int = 0
    seconds: float = 0.0
    rate: float = 0.0  # lines a second
    interrupted: bool = False
    files: dict[str, Reached] = field(default_factory=dict)


class Listener(Protocol):
    """Is told how a replay goes."""

    def note(self, text: str) -> None:
        """Something that a person should know."""

    def moved(self, file: JsonLines, lines: int) -> None:
        """So many lines in all were confirmed; this file is being read."""


class Replay:
    """One replay of some files. `stop` ends it early; `sent` says what was done, after an error too."""

    def __init__(self, settings: Settings, job: Job, listener: Listener) -> None:
        self.sent = Sent()
        self._settings = settings
        self._job = job
        self._listener = listener
        self._topic = full_name(RAW, settings)
        # A new event of a purged one's code has nothing yet of what was sent to that.
        self._only = [job.importing.code, str(job.importing.born)] if job.importing else []
        self._stopping = asyncio.Event()
        self._received_ms = 0

    def stop(self) -> None:
        """Send nothing more."""
        self._stopping.set()

    async def run(self) -> None:
        """Send all files. Raises Unavailable or UserError."""
        for path in self._job.files:
            with open_lines(path) as file:
                file.check()
        async with admin(self._settings) as client:
            try:
                cluster = (await client.describe_cluster()).get("cluster_id")
            except KafkaError as error:
                raise unreachable(self._settings, error) from None
        async with producer(self._settings) as sender:
            flight = Flight(sender, self._topic, await self._partitions(sender), self._headers, self._stopping)
            began = time.monotonic()
            try:
                await self._send_all(flight, "\0".join([str(cluster), self._topic, *self._only]))
            finally:
                self.sent.interrupted = self._stopping.is_set()
                self.sent.seconds = round(time.monotonic() - began, 3)
                self.sent.rate = round(self.sent.lines / max(self.sent.seconds, 0.001), 1)

    def _headers(self, received_ms: int) -> Headers:
        """Of a record. An import names the event's version, so that a worker waits until it knows it.

        Each of its records has a time of its own: by that a copy of a post is told from the post read once more.
        """
        if self._job.importing is None:
            return raw_headers(self._job.source, "jsonl", received_ms, "replay")
        event = self._job.importing
        self._received_ms = max(received_ms, self._received_ms + 1)
        headers = raw_headers(self._job.source, "jsonl", self._received_ms, "import", event=event.code)
        return [*headers, ("lately", f"{event.code}:{event.version}".encode())]

    async def _partitions(self, sender: AIOKafkaProducer) -> int:
        try:
            return len(await sender.partitions_for(self._topic))
        except KafkaError:
            raise Unavailable(f"Kafka has no topic {self._topic}; `starling migrate` makes it") from None

    async def _send_all(self, flight: Flight, target: str) -> None:
        fresh = self._job.fresh
        while True:
            before = self.sent.lines
            for path in self._job.files:
                with open_lines(path) as file, PositionFile(state_dir() / "replay", target, file) as kept:
                    place = Place() if fresh else self._begin(file, kept)
                    if place is not None:
                        await self._send_file(file, kept, place, flight)
                if self._stopping.is_set():
                    return
            if not self._job.loop:
                return
            if fresh and self.sent.lines == before:
                raise UserError("nothing to repeat: the files hold no lines that can be sent")
            fresh = True

    def _begin(self, file: JsonLines, kept: PositionFile) -> Place | None:
        """Where to begin in a file; None if it was sent already."""
        position = kept.read()
        if position is None:
            return Place()
        if not position.fits(file) or not file.starts_a_line(position.place):
            self._listener.note(f"{file.address}: has changed since it was sent, starts over")
            return Place()
        if position.done and position.size == file.size:
            if self._job.loop:
                return Place()
            self._listener.note(f"{file.address}: sent already, up to line {position.line}; --fresh sends it again")
            self.sent.files[str(file.address)] = Reached(position.line, finished=True)
            return None
        if position.line:
            self._listener.note(f"{file.address}: resumes at line {position.line + 1}; --fresh starts over")
        return position.place

    async def _send_file(self, file: JsonLines, kept: PositionFile, place: Place, flight: Flight) -> None:
        reached = place
        written = 0.0
        finished = False

        def confirmed(record: Record) -> None:
            nonlocal reached, written
            reached = record.end
            self.sent.lines += record.lines
            self._listener.moved(file, self.sent.lines)
            if time.monotonic() - written >= POSITION_SECONDS:
                written = time.monotonic()
                kept.write(file, reached, done=False)

        kept.write(file, place, done=False)
        flight.on_confirmed = confirmed
        try:
            await self._send_lines(file, place, flight)
            finished = not self._stopping.is_set()
            if finished and not (reached.offset or self.sent.skipped or self._job.loop):
                self._listener.note(f"{file.address}: holds no lines")
        except Unavailable as away:
            raise Unavailable(f"{away}; {_stopped(file, reached)}") from None
        finally:
            flight.forget()
            kept.write(file, reached, done=finished)
            self.sent.files[str(file.address)] = Reached(reached.line, finished)
            if self._stopping.is_set():
                self._listener.note(_stopped(file, reached))

    async def _send_lines(self, file: JsonLines, place: Place, flight: Flight) -> None:
        packer = Packer(self._settings.record_posts, self._settings.record_linger)
        pace = self._job.pace()
        bad: UserError | None = None
        try:
            for line in file.read(place):
                if line.data is None:
                    self._skip(file, line.end, line.size)
                    continue
                wait = pace.wait(line.data, time.monotonic())
                if wait >= _SHORTEST_SLEEP:
                    await self._pause(time.monotonic() + wait, packer, flight)
                if self._stopping.is_set():
                    break
                for record in packer.add(line.data, line.end, time.monotonic()):
                    await flight.send(record)
        except UserError as wrong:
            bad = wrong  # the lines before it go all the same
        for record in packer.take():
            await flight.send(record)
        await flight.land()
        if bad is not None:
            raise bad

    async def _pause(self, until: float, packer: Packer, flight: Flight) -> None:
        """Sleep; records whose time comes meanwhile go."""
        while (now := time.monotonic()) < until and not self._stopping.is_set():
            for record in packer.take(now):
                await flight.send(record)
            flight.settle()
            wake = min(until, packer.due or until, now + _LOOK_SECONDS)
            try:
                await asyncio.wait_for(self._stopping.wait(), max(wake - time.monotonic(), 0))
            except TimeoutError:
                continue

    def _skip(self, file: JsonLines, end: Place, size: int) -> None:
        self.sent.skipped += 1
        self._listener.note(
            f"{file.address}: line {end.line} skipped: {size:,} bytes, a record holds {LINE_LIMIT:,} at most"
        )


def _stopped(file: JsonLines, reached: Place) -> str:
    return f"{file.address}: stopped after line {reached.line}; the same command goes on from there"
