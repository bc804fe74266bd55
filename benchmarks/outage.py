"""Kafka stands still while the whole firehose comes: is every post there afterwards, and what did the tracker hold.

The posts are counted in the topic itself, by a reader that begins when all is over, up to the ends that the broker
tells.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

from app.local.server import free_ports
from benchmarks.broker import wait_for
from benchmarks.lab import Lab
from benchmarks.report import Result
from benchmarks.stream import Arrived, streaming, write_pool
from benchmarks.tracking import CONNECT_SECONDS, MB, RATE, tracker

SECTION = "outage"
LIMIT_MB = 1024  # of the tracker's container
_LOOK = 0.2
_CALM_SECONDS = 15.0  # nothing came for so long: then no more comes
_DONE_SECONDS = 300


@dataclass
class _Most:
    """The most that was seen at once, in MB."""

    before: float = 0.0
    held: float = 0.0
    on_disk: float = 0.0


def measure(lab: Lab, seconds: float) -> Iterator[Result]:
    """Kafka stops for so long, after half as long of posts at the rate of the firehose, and before as long again."""
    posts = int(RATE * 2 * seconds)
    pool = write_pool(lab.directory)
    (port,) = free_ports(1)
    with lab.contest() as contest:
        one = tracker(contest, lab, port)
        contest.settle()
        topic, process, kafka = one.raw_topic, one.processes[0], lab.servers["kafka"]
        starts = lab.broker.ends(topic)
        most = _Most(before=process.rss() / MB)

        def look() -> None:
            most.held = max(most.held, process.rss() / MB)
            most.on_disk = max(most.on_disk, _bytes_of(lab) / MB)
            time.sleep(_LOOK)

        def for_seconds(span: float) -> None:
            until = time.monotonic() + span
            while time.monotonic() < until:
                look()

        with streaming(pool, port, posts, RATE) as stream:
            wait_for("it listens", lambda: stream.state()["made"], CONNECT_SECONDS, 0.02)
            for_seconds(seconds / 2)
            os.kill(kafka, signal.SIGSTOP)
            try:
                for_seconds(seconds)
            finally:
                os.kill(kafka, signal.SIGCONT)
            back = time.monotonic()
            ends, moved = lab.broker.ends(topic), back
            while time.monotonic() - moved < _CALM_SECONDS or stream.sent() < posts:
                look()
                if (now := lab.broker.ends(topic)) != ends:
                    ends, moved = now, time.monotonic()
                if time.monotonic() - back > _DONE_SECONDS:
                    raise TimeoutError(f"{stream.sent():,} of {posts:,} posts were sent, and records still come")
        arrived = Arrived(lab.broker, topic, starts)
        try:
            wait_for("the topic is read", lambda: arrived.look(_LOOK) >= 0 and arrived.through(ends), _DONE_SECONDS)
        finally:
            arrived.close()
    case = f"{RATE:,} posts/s, {seconds:.0f} s"
    note = f"{arrived.lines - arrived.posts:,} of them twice; the last {moved - back:.0f} s after Kafka was back"
    yield Result(SECTION, case, "arrived", arrived.posts, "posts", posts, note=note)
    note = f"{most.before:.0f} at the start; {most.on_disk:,.0f} MB on its disk"
    yield Result(SECTION, case, "most that the tracker held", most.held, "MB", LIMIT_MB, at_most=True, note=note)


def _bytes_of(lab: Lab) -> int:
    """What waits on the tracker's disk."""
    found = 0
    for file in (lab.directory / "spool").rglob("*"):
        try:
            found += file.stat().st_size
        except FileNotFoundError:  # sent meanwhile
            continue
    return found
