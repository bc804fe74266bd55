"""From the socket of a stream to `raw_tweets`: beside a bare loop, at the rate of the whole firehose, a gigabyte long.

The stream is the simulator's X v2, in a process of its own: generated posts of 4.1 kB that all match the rules,
prepared ahead and repeated with new ids. Every post is looked for in the topic afterwards, by its id.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.local.server import free_ports
from app.roles import Role
from benchmarks.broker import wait_for
from benchmarks.contestants.listen import RECORD
from benchmarks.lab import Contest, Contestant, Lab, Run
from benchmarks.report import Result, median
from benchmarks.stream import Arrived, Stream, flood, streaming, write_pool

SECTION = "tracking"
MB = 2**20
OF_BARE = 0.6
RATE = 5_700
# What knows posts again holds up to 400,000 ids and is still being filled in the first: hence more than one.
GIGABYTES = 3
FLAT_MB = 15
_CASE = "4 KB posts"
CONNECT_SECONDS = 60
_DONE_SECONDS = 300
_LOOK = 0.2


@dataclass(frozen=True)
class _Sample:
    """What there was at one moment."""

    at: float
    made: int
    arrived: int
    cpu: float
    rss: float


def measure(lab: Lab, posts: int, seconds: float, repetitions: int, gigabyte: int) -> Iterator[Result]:
    """Beside the bare loop with so many posts, at the rate for so many seconds, and some gigabytes of so many posts."""
    pool = write_pool(lab.directory)
    yield from _beside_bare(lab, pool, posts // RECORD * RECORD, repetitions)
    yield from _at_rate(lab, pool, seconds)
    yield from _flat(lab, pool, gigabyte)


def _beside_bare(lab: Lab, pool: Path, posts: int, repetitions: int) -> Iterator[Result]:
    bare: list[Run] = []
    ours: list[Run] = []
    for number in range(repetitions):
        # Both anew each time: a source that forgets its rules, as a new simulator does, is not what is measured.
        bare_port, port = free_ports(2)
        with lab.contest() as contest:
            other = contest.listener("bare loop", "listen", [flood()], f"http://127.0.0.1:{bare_port}")
            mine = tracker(contest, lab, port)
            contest.settle()
            turns = [(other, bare_port, bare), (mine, port, ours)]
            for one, at, runs in turns if number % 2 else reversed(turns):
                runs.append(_run(lab, one, pool, at, posts))
    for name, runs in (("bare loop", bare), ("Starling", ours)):
        note = f"{posts / median([run.wall for run in runs]):,.0f} a second by the clock"
        speed = median([run.posts_per_cpu for run in runs])
        yield Result(SECTION, _CASE, name, speed, "posts/CPU-s", note=note)
    pairs = [one.posts_per_cpu / other.posts_per_cpu for one, other in zip(ours, bare, strict=True)]
    note = "pairs: " + ", ".join(f"{ratio:.2f}" for ratio in pairs)
    yield Result(SECTION, _CASE, "of the bare loop", median(pairs), "", OF_BARE, note=note)


def _at_rate(lab: Lab, pool: Path, seconds: float) -> Iterator[Result]:
    label = f"{RATE:,} posts/s"
    posts = int(RATE * seconds)
    samples = _watched(lab, pool, posts, RATE)
    first, last = samples[0], samples[-1]
    full = [one for one in samples if one.made < posts] or samples
    third = max(1, len(full) // 3)
    before = median([one.made - one.arrived for one in full[:third]])
    after = median([one.made - one.arrived for one in full[-third:]])
    late = last.at - full[-1].at
    note = f"{posts - last.arrived:,} lost, in {seconds:.0f} s"
    yield Result(SECTION, label, "arrived", last.arrived, "posts", posts, note=note)
    share = (full[-1].cpu - first.cpu) / (full[-1].at - first.at)
    yield Result(SECTION, label, "of a core", share, "", 1, at_most=True)
    note = (
        f"sent and not yet in Kafka, first third {before:,.0f}, last {after:,.0f}; all there {late:.1f} s after the end"
    )
    # Half a second of posts: what lies in records that are being filled and batches under way.
    yield Result(SECTION, label, "growth of the queue", after - before, "posts", RATE / 2, at_most=True, note=note)


def _flat(lab: Lab, pool: Path, gigabyte: int) -> Iterator[Result]:
    samples = _watched(lab, pool, GIGABYTES * gigabyte, 0)
    held = [samples[0].rss]
    held += [next(one.rss for one in samples if one.made >= number * gigabyte) for number in range(1, GIGABYTES)]
    held.append(samples[-1].rss)
    third = next(one.rss for one in samples if one.made >= gigabyte / 3)
    label = f"{GIGABYTES} times {gigabyte:,} posts"
    note = f"{held[0]:.0f} MB at the start, {third:.0f} at a third, {held[1]:.0f} at the end"
    yield Result(SECTION, label, "growth in the first", held[1] - held[0], "MB", note=note)
    yield Result(SECTION, label, "of it after a third", held[1] - third, "MB", FLAT_MB, at_most=True)
    note = "MB after each: " + ", ".join(f"{one:.0f}" for one in held[1:])
    yield Result(SECTION, label, "growth in the last", held[-1] - held[-2], "MB", FLAT_MB, at_most=True, note=note)


def tracker_settings(lab: Lab, port: int) -> dict[str, str]:
    """What has a tracker listen to the stream at this port."""
    return {
        "STARLING_SOURCES": "x",
        "STARLING_X_URL": f"http://127.0.0.1:{port}",
        "STARLING_X_BEARER_TOKEN": "bench",
        "STARLING_SPOOL_DIR": str(lab.directory / "spool"),
    }


def tracker(contest: Contest, lab: Lab, port: int) -> Contestant:
    """A tracker that listens to the stream at this port."""
    return contest.starling("Starling", Role.TRACKER, [flood()], more=tracker_settings(lab, port))


def _run(lab: Lab, one: Contestant, pool: Path, port: int, posts: int) -> Run:
    """All posts as fast as they are taken; processor time from the first one until the last is in Kafka."""
    arrived = Arrived(lab.broker, one.raw_topic)
    try:
        with streaming(pool, port, posts, 0) as stream:
            wait_for(f"{one.name} listens", lambda: stream.state()["made"], CONNECT_SECONDS, 0.02)
            began, before = time.monotonic(), one.cpu()
            wait_for(f"{one.name} takes all", lambda: stream.sent() >= posts, _DONE_SECONDS, _LOOK)
            wall = time.monotonic() - began
            wait_for(f"all of {one.name} arrive", lambda: arrived.look(_LOOK) >= posts, _DONE_SECONDS, 0)
            run = Run(posts, one.cpu() - before, wall)
        if arrived.lines != posts:
            raise RuntimeError(f"{one.name} has sent {arrived.lines:,} lines for {posts:,} posts")
    finally:
        arrived.close()
    return run


def _watched(lab: Lab, pool: Path, posts: int, rate: float) -> list[_Sample]:
    """A new tracker and how it is five times a second, until every post is in Kafka or no more come."""
    (port,) = free_ports(1)
    with lab.contest() as contest:
        one = tracker(contest, lab, port)
        contest.settle()
        arrived = Arrived(lab.broker, one.raw_topic)
        samples: list[_Sample] = []
        try:
            with streaming(pool, port, posts, rate) as stream:
                wait_for(f"{one.name} listens", lambda: stream.state()["made"], CONNECT_SECONDS, 0.02)
                while not samples or not _over(samples, posts):
                    samples.append(_sample(one, stream, arrived))
                    time.sleep(_LOOK)
        finally:
            arrived.close()
    return samples


def _over(samples: list[_Sample], posts: int) -> bool:
    last = samples[-1]
    if last.arrived >= posts:
        return True
    patient = [one for one in samples if last.at - one.at > 10]
    return bool(patient) and patient[-1].arrived == last.arrived and last.made >= posts


def _sample(one: Contestant, stream: Stream, arrived: Arrived) -> _Sample:
    process = one.processes[0]
    made = stream.sent()
    return _Sample(time.monotonic(), made, arrived.look(), one.cpu(), process.rss() / MB)
