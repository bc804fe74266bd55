"""A stream to listen to: posts of X v2 that all match an event, by the simulator in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import Request, urlopen

from confluent_kafka import Consumer, TopicPartition

from app.domain.events import Event
from app.domain.matcher import Matcher
from app.domain.posts import read
from app.generator import Mix, v2
from app.generator.composing import Composer
from app.generator.selectors import selectors_of
from benchmarks.broker import Broker, wait_for
from benchmarks.data import START_MS

KEYWORD = "rotwasser"
ELSEWHERE = "nebelhorn"  # of no event: in posts that X sends for a rule of another program of the same account
POOL = 2_000
LEAST_BYTES = 3_150  # the simulator fills posts up with whole ones: 4.1 kB in the mean
_SEED = 7
_START_SECONDS = 60


def flood() -> Event:
    """The event that every post of the stream belongs to."""
    return Event(code="flood", name="flood", keywords=(KEYWORD,), status="active")


def write_pool(directory: Path, of_flood: Callable[[int], bool] = lambda _: True) -> Path:
    """Generated posts, one a line; the simulator repeats them with new ids.

    Those whose number in the pool is `of_flood` have the event's keyword in their own text, the others ELSEWHERE.
    """
    event, other = flood(), Event(code=ELSEWHERE, name=ELSEWHERE, keywords=(ELSEWHERE,), status="active")
    sequence = iter(range(1, 1 << 30)).__next__
    composers = {
        one.code: Composer([one], selectors_of([one]), Random(_SEED), Mix(planted=1, decoy=0)) for one in (event, other)
    }
    matcher, file = Matcher([event, other]), directory / "pool.jsonl"
    with file.open("wb") as out:
        left = POOL
        while left:
            wanted = event if of_flood(POOL - left) else other
            line = v2.line([composers[wanted.code].post(START_MS + left, sequence)], as_list=False)
            text = json.loads(line)["data"]["text"]
            found = {match.event.code for match in matcher.match(read(line)[0])}
            if f" {wanted.keywords[0]} " in text and found == {wanted.code}:
                out.write(line + b"\n")
                left -= 1
    return file


class Stream:
    """A running simulator."""

    def __init__(self, port: int) -> None:
        self._at = f"http://127.0.0.1:{port}"

    def state(self) -> dict[str, Any]:
        with urlopen(f"{self._at}/control/state", timeout=30) as answer:  # noqa: S310 -- http, of a process of ours
            found: dict[str, Any] = json.load(answer)
        return found

    def other_rule(self) -> None:
        """Have the account a rule of another program, for the posts that are of no event."""
        body = json.dumps({"add": [{"value": ELSEWHERE, "tag": "another program"}]}).encode()
        headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}
        with urlopen(Request(f"{self._at}/2/tweets/search/stream/rules", body, headers), timeout=30) as answer:  # noqa: S310 -- http, of a process of ours
            told = json.load(answer)
        if told.get("errors"):
            raise RuntimeError(f"the simulator refuses the rule: {told['errors']}")

    def sent(self) -> int:
        """Posts sent so far. Raises RuntimeError where some were not: then the contest is none."""
        counts = self.state()["counts"]
        sent = int(counts.pop("x sent", 0))
        if counts:
            raise RuntimeError(f"the simulator has not sent every post: {counts}")
        return sent


@contextmanager
def streaming(pool: Path, port: int, posts: int, rate: float) -> Iterator[Stream]:
    """So many posts at this rate (0: as fast as they are taken) to whom connects first."""
    command = [sys.executable, "-c", "from cli import main; main()", "simulate", str(pool), "--wait", "--wires", "x"]
    command += ["--pool", str(POOL), "--post-bytes", str(LEAST_BYTES), "--port", str(port), "--rate", str(rate)]
    command += ["--posts", str(posts), "--log-size", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    stream = Stream(port)
    try:
        wait_for("the simulator listens", lambda: _answers(stream, process), _START_SECONDS)
        yield stream
    finally:
        process.terminate()
        process.wait(30)


def _answers(stream: Stream, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the simulator ended with status {process.returncode}")
    try:
        return bool(stream.state())
    except OSError:
        return False


class Arrived:
    """Counts the posts that reach a raw topic, by their ids: from these offsets on, else from now on."""

    def __init__(self, broker: Broker, topic: str, starts: Mapping[int, int] | None = None) -> None:
        self._consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "bench", "log_level": 0})
        self._starts = dict(starts or broker.ends(topic))
        self._places = [TopicPartition(topic, *start) for start in self._starts.items()]
        self._consumer.assign(self._places)
        self._ids: set[bytes] = set()
        self.lines = 0

    @property
    def posts(self) -> int:
        """Different posts."""
        return len(self._ids)

    def look(self, seconds: float = 0) -> int:
        """Take what is there; returns how many different posts have come."""
        while messages := self._consumer.consume(100, seconds):
            for message in messages:
                if message.error():
                    raise RuntimeError(str(message.error()))
                lines = message.value().split(b"\n")
                self.lines += len(lines)
                self._ids.update(_id(line) for line in lines)
        return self.posts

    def through(self, ends: Mapping[int, int]) -> bool:
        """Whether everything before these offsets was taken."""
        read = {one.partition: one.offset for one in self._consumer.position(self._places)}  # negative before the first
        return all(max(read[number], start) >= ends[number] for number, start in self._starts.items())

    def close(self) -> None:
        self._consumer.close()


def _id(line: bytes) -> bytes:
    """Of a post of the simulator."""
    return line.split(b'"id":"', 2)[1].split(b'"', 1)[0]
