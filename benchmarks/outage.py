"""Kafka stands still while the whole firehose comes: is every post there afterwards, and what did the tracker hold.

The posts are counted in the topic itself, by a reader that begins when all is over, up to the ends that the broker
tells.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from app.local.server import free_ports
from benchmarks.broker import wait_for
from benchmarks.lab import Lab
from benchmarks.process import tree_peak_bytes
from benchmarks.report import Result
from benchmarks.stream import Arrived, streaming, write_pool
from benchmarks.tracking import CONNECT_SECONDS, MB, RATE, tracker

SECTION = "outage"
LIMIT_MB = 1024  # of the tracker's container
_LOOK = 0.2
_EMPTY = 64 * 1024  # of its disk
_CALM_SECONDS = 15.0  # nothing came for so long: then no more comes
_DONE_SECONDS = 300


def measure(lab: Lab, seconds: float) -> Iterator[Result]:
    """Kafka stops for so long, after half as long of posts at the rate of the firehose, and before as long again."""
    posts = int(RATE * 2 * seconds)
    pool = write_pool(lab.directory)
    (port,) = free_ports(1)
    with lab.contest() as contest:
        one = tracker(contest, lab, port)
        contest.settle()
        topic, process, kafka = one.raw_topic, one.processes[0], lab.servers["kafka"]
        starts, before = lab.broker.ends(topic), process.rss() / MB
        with streaming(pool, port, posts, RATE) as stream:
            wait_for("it listens", lambda: stream.state()["made"], CONNECT_SECONDS, 0.02)
            time.sleep(seconds / 2)
            heard = -stream.sent()
            os.kill(kafka, signal.SIGSTOP)
            try:
                time.sleep(seconds)
            finally:
                os.kill(kafka, signal.SIGCONT)
            heard, kept = heard + stream.sent(), _bytes_of(lab) / MB
            back = streamed = came = time.monotonic()
            ends = lab.broker.ends(topic)
            while (more := stream.sent() < posts) or _bytes_of(lab) > _EMPTY or time.monotonic() - came < _CALM_SECONDS:
                if more:
                    streamed = time.monotonic()
                if (now := lab.broker.ends(topic)) != ends:
                    ends, came = now, time.monotonic()
                if time.monotonic() - back > _DONE_SECONDS:
                    raise TimeoutError(f"{stream.sent():,} of {posts:,} posts were sent, and it is not over")
                time.sleep(_LOOK)
            held, after = tree_peak_bytes(process.pid) / MB, process.rss() / MB
        arrived = Arrived(lab.broker, topic, starts)
        try:
            wait_for("the topic is read", lambda: arrived.look(_LOOK) >= 0 and arrived.through(ends), _DONE_SECONDS)
        finally:
            arrived.close()
    case = f"{RATE:,} posts/s, {seconds:.0f} s"
    note = f"{heard:,} while it stood still, {arrived.lines - arrived.posts:,} came twice"
    yield Result(SECTION, case, "arrived", arrived.posts, "posts", posts, note=note)
    note = f"after the last was sent; {kept:,.0f} MB were on its disk"
    yield Result(SECTION, case, "all there", max(0.0, came - streamed), "s", note=note)
    note = f"{before:.0f} before, {after:.0f} afterwards"
    yield Result(SECTION, case, "most that the tracker held", held, "MB", LIMIT_MB, at_most=True, note=note)


def _bytes_of(lab: Lab) -> int:
    """What waits on the tracker's disk."""
    found = 0
    for file in (lab.directory / "spool").rglob("*"):
        try:
            found += file.stat().st_size
        except FileNotFoundError:  # sent meanwhile
            continue
    return found
