"""`python -m benchmarks.resources`: what each role, Kafka and Cassandra use of processor and memory at a load.

Real processes of every role and servers of their own; the simulator's X sends a tracker posts of which 15 % are of one
event. A worker does what classifier and normalizer do together, so each load is run twice: with it, and with these.
`--keep` writes what was measured to the file that docs/kubernetes.md and the tests of `deploy/` take it from.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from app.domain.events import Event
from app.domain.partitioning import rule_for
from app.errors import UserError
from app.local.server import free_ports
from app.roles import Role
from benchmarks import report
from benchmarks.broker import wait_for
from benchmarks.lab import Lab, open_lab, rows_of
from benchmarks.process import cpu_seconds, rss_bytes
from benchmarks.sizing import MEASURED, measured
from benchmarks.stream import POOL, flood, streaming, write_pool
from benchmarks.tracking import tracker_settings

MB = 2**20
LOADS = (500, 57)
SHARE = 0.15
_OF_FLOOD = (3, 10, 17)  # of each twenty
BEHIND_SECONDS = 10  # later than planned, until all is stored and indexed: the rate is held; the machine may be shared
EVERY = 0.5
TOGETHER = (Role.MANAGER, Role.WORKER, Role.INDEXER)
APART = (Role.MANAGER, Role.CLASSIFIER, Role.NORMALIZER, Role.INDEXER)
_PATIENCE = 300


@dataclass(frozen=True)
class Used:
    """What a process has used over the time that it was watched."""

    cpu: float  # cores
    rss: float  # MB, in the middle
    rss_most: float


def watch(pids: Mapping[str, int], planned: float, over: Callable[[], bool]) -> tuple[dict[str, Used], float]:
    """What these use for work that is planned for so many seconds, and how many more it took until it was over.

    Processor time is divided by the seconds that were planned: on a machine that others use too the work is as much,
    and only takes longer.
    """
    held: dict[str, list[float]] = {name: [] for name in pids}
    began, before = time.monotonic(), {name: cpu_seconds(pid) for name, pid in pids.items()}
    while not over():
        if time.monotonic() - began > planned + _PATIENCE:
            raise TimeoutError(f"not over {_PATIENCE} s later than planned")
        for name, pid in pids.items():
            held[name].append(rss_bytes(pid) / MB)
        time.sleep(EVERY)
    behind, after = time.monotonic() - began - planned, {name: cpu_seconds(pid) for name, pid in pids.items()}
    used = {
        name: Used((after[name] - before[name]) / planned, report.median(held[name]), max(held[name])) for name in pids
    }
    return used, behind


def at_load(
    lab: Lab,
    pool: Path,
    roles: Sequence[Role],
    rate: int,
    seconds: float,
    meanwhile: Callable[[float], None] = lambda _: None,
) -> tuple[dict[str, Used], float]:
    """What each uses at a load, and how many seconds later than planned all was stored.

    `meanwhile` is called every half second, with the seconds since it began. Raises TimeoutError where a post was lost.
    """
    (port,) = free_ports(1)
    posts = int(rate * seconds)
    event = msgspec.structs.replace(flood(), hot=True, buckets=(rule_for(rate * SHARE),))
    with lab.contest() as contest:
        ours = contest.starling("Starling", roles[0], [event])
        for role in roles[1:]:
            contest.join(ours, role)
        contest.settle()
        with streaming(pool, port, posts, rate) as stream:
            stream.other_rule()
            contest.join(ours, Role.TRACKER, tracker_settings(lab, port))
            wait_for("the tracker listens", lambda: stream.state()["made"], _PATIENCE, 0.02)
            names = [role.value for role in (*roles, Role.TRACKER)]
            pids = {name: process.pid for name, process in zip(names, ours.processes, strict=True)}
            planned = (posts - stream.sent()) / rate
            began = time.monotonic()

            def over() -> bool:
                meanwhile(time.monotonic() - began)
                return stream.sent() >= posts and contest.through(ours)

            found = watch(pids | lab.servers, planned, over)
        wanted = sum(_of_flood(number % POOL) for number in range(posts))
        wait_for(f"{wanted:,} rows are there", lambda: rows_of(ours.settings) == wanted, 60, 1)
    return found


def without_cassandra(lab: Lab, rate: int, seconds: float) -> dict[str, float]:
    """Cassandra stands still for half of the time: MB that each holds at most, and how late all is stored."""
    pid = lab.servers["cassandra"]

    def stand_still(at: float) -> None:
        os.kill(pid, signal.SIGSTOP if seconds / 4 <= at < seconds * 3 / 4 else signal.SIGCONT)

    pool = write_pool(lab.directory, _of_flood)
    used, behind = at_load(lab, pool, TOGETHER, rate, seconds, stand_still)
    held = {name: one.rss_most for name, one in used.items() if name not in lab.servers}
    return held | {"stood": seconds / 2, "behind": behind}


def holding(lab: Lab, count: int) -> dict[str, float]:
    """MB that a manager and a worker hold at rest with so many events of five keywords."""
    events = [
        Event(
            code=f"many-{number:05}",
            name=f"many {number}",
            keywords=tuple(f"word{number}x{part}" for part in range(5)),
            status="active",
        )
        for number in range(count)
    ]
    with lab.contest() as contest:
        ours = contest.starling("Starling", Role.MANAGER, events)
        contest.join(ours, Role.WORKER)
        contest.settle()
        return {
            role.value: process.rss() / MB
            for role, process in zip((Role.MANAGER, Role.WORKER), ours.processes, strict=True)
        }


def _of_flood(number: int) -> bool:
    return number % 20 in _OF_FLOOD


def measure(lab: Lab, seconds: float, high: Sequence[int]) -> Iterator[tuple[int, dict[str, Used]]]:
    """The usual loads, and the highest of the others that is held."""
    pool = write_pool(lab.directory, _of_flood)
    for rate in (*LOADS, *sorted(high, reverse=True)):
        used, behind = at_load(lab, pool, TOGETHER, rate, seconds)
        click.echo(f"{rate:,} posts/s: all stored {behind:.1f} s later than planned", err=True)
        if rate in LOADS or behind <= BEHIND_SECONDS:
            apart, _ = at_load(lab, pool, APART, rate, seconds)
            yield rate, used | {role.value: apart[role.value] for role in (Role.CLASSIFIER, Role.NORMALIZER)}
        if rate in high and behind <= BEHIND_SECONDS:
            break


@click.command()
@click.option("--seconds", type=click.IntRange(5), default=60, show_default=True, help="Each load lasts.")
@click.option(
    "--high", type=click.IntRange(501), multiple=True, default=(3000, 2000, 1000), help="Loads, tried in turn."
)
@click.option("--events", type=click.IntRange(1), multiple=True, default=(1000, 10000), help="Memory with so many.")
@click.option("--only", type=click.Choice(["loads", "events", "without-cassandra"]), help="One of the three.")
@click.option("--keep", is_flag=True, help=f"Write {MEASURED.name}, which the documentation is made from.")
def main(seconds: int, high: tuple[int, ...], events: tuple[int, ...], only: str | None, keep: bool) -> None:
    """Measure what each role uses at a load, holds with many events, and while Cassandra stands still."""
    if "STARLING_BENCH_STACK" in os.environ:
        raise click.UsageError("servers that others use too cannot be measured: unset STARLING_BENCH_STACK")
    began = time.monotonic()
    found: dict[str, Any] = measured() if keep and MEASURED.exists() else {}
    found |= {"at": datetime.now(UTC).date().isoformat(), "machine": report.machine(), "share": SHARE}
    with open_lab() as lab:
        if only in (None, "loads"):
            found |= {"seconds": seconds, "loads": {}}
            click.echo("| posts/s | role | CPU, cores | RSS, MB | most |\n|---|---|---|---|---|")
            for rate, used in measure(lab, seconds, high):
                found["loads"][str(rate)] = {name: asdict(one) for name, one in used.items()}
                for name, one in used.items():
                    click.echo(f"| {rate:,} | {name} | {one.cpu:.3f} | {one.rss:.0f} | {one.rss_most:.0f} |")
        if only in (None, "events"):
            found["events"] = {str(count): holding(lab, count) for count in events}
        if only in (None, "without-cassandra"):
            found["without cassandra"] = without_cassandra(lab, LOADS[0], seconds)
    text = json.dumps(_rounded(found), indent=1) + "\n"
    click.echo(text)
    if keep:
        MEASURED.write_text(text)
    click.echo(f"{time.monotonic() - began:.0f} s", err=True)


def _rounded(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _rounded(one) for name, one in found.items()}
    return round(found, 3) if isinstance(found, float) else found


if __name__ == "__main__":
    try:
        main()
    except UserError as refused:
        click.echo(f"benchmarks: {refused}", err=True)
        sys.exit(1)
