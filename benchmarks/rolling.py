"""`python -m benchmarks.rolling`: what the restart and the death of workers cost, with static membership and without.

Starts servers and four workers. `STARLING_BENCH_STACK=directory` takes a stack that runs there.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import click

from app.demo import events as commands
from app.demo.plan import EVENTS
from app.local.stack import Stack
from app.schema import TWEET
from app.settings import Settings
from benchmarks.load import Load
from benchmarks.servers import servers
from tests.support import rows, topics
from tests.support.patched import starling_with
from tests.support.place import place
from tests.support.workers import Worker, worker

WORKERS = 4
_READY = 180  # seconds; a loaded machine starts slowly
_CALM = 12.0  # between what happens
_PAUSE = 2.0  # until a supervisor starts a process again
_SILENT = 1.0  # seconds without a row; at this load one comes every few milliseconds
_LATE = 5.0
_EPOCH = datetime(1970, 1, 1)
# Each generation of a group is a rebalance; who joins without one finds the generation that there was.
_TOLD = """
    import app.faustapp as faustapp
    from aiokafka.consumer.group_coordinator import GroupCoordinator
    join, init = GroupCoordinator._on_join_complete, faustapp.App.__init__

    async def told(self, generation, *rest):
        print('{"level": "info", "event": "generation %d"}' % generation, flush=True)
        return await join(self, generation, *rest)

    GroupCoordinator._on_join_complete = told
"""
# Faust takes what its group had assigned to its name only under the address that it had: a pod of a StatefulSet has.
_NAMED = """
    def named(self, *args, **kwargs):
        init(self, *args, **kwargs, consumer_group_instance_id={name!r}, canonical_url="http://{name}:6066")

    faustapp.App.__init__ = named
"""


class Way(NamedTuple):
    """How workers belong to their group."""

    name: str
    session: float  # seconds until a dead one's partitions move
    static: bool

    def command(self, number: int) -> list[str]:
        """A worker's; of a static one the number is its name."""
        return starling_with(_TOLD + (_NAMED.format(name=f"worker-{number}") if self.static else ""))


# A name must be back before its session ends, or its partitions move twice: a pod takes longer than a process.
WAYS = (Way("as now", 10, static=False), Way("static", 30, static=True))


def roll(workers: Sequence[Worker]) -> None:
    """One by one: SIGTERM, and the next when it is ready again."""
    for one in workers:
        one.term(_READY)
        time.sleep(_PAUSE)
        one.restart(one.command)
        one.wait_ready(_READY)


def crash(workers: Sequence[Worker]) -> None:
    """kill -9, and started again at once, as a container that dies is."""
    workers[0].kill()
    time.sleep(_PAUSE)
    workers[0].restart(workers[0].command)
    workers[0].wait_ready(_READY)


def vanish(workers: Sequence[Worker]) -> None:
    """kill -9, and not started again while the others go on, as where a node dies."""
    workers[1].kill()
    time.sleep(workers[1].settings.session_timeout)


CASES: dict[str, Callable[[Sequence[Worker]], None]] = {
    "rolling restart of 4": roll,
    "kill -9, restarted": crash,
    "kill -9, gone": vanish,
}


class Cost(NamedTuple):
    """What something has cost. Times in seconds."""

    rebalances: int
    silent_most: float  # nothing at all is written
    silent_sum: float
    waited_most: float  # the post that waited longest, from when it was received until it was written
    late: float  # percent of posts that waited more than five seconds


def measure(stack: Stack, way: Way, rate: float) -> Iterator[tuple[str, Cost]]:
    """All cases once, one after the other, under one load."""
    with ExitStack() as opened:
        settings = opened.enter_context(place(stack, session_timeout=way.session, partitions=WORKERS))
        manager = opened.enter_context(worker(settings, "manager"))
        manager.wait_ready(_READY)
        made = asyncio.run(commands.create(settings, EVENTS, rate))
        workers = [opened.enter_context(worker(settings, "worker", way.command(n))) for n in range(WORKERS)]
        for one in workers:
            one.wait_ready(_READY)
        spans: dict[str, tuple[float, float, int]] = {}
        with Load(settings, made, rate) as load:
            time.sleep(2 * _CALM)
            for name, happens in CASES.items():
                began, generation = time.time(), _generation(workers)
                happens(workers)
                time.sleep(_CALM)
                spans[name] = began, time.time(), _generation(workers) - generation
                time.sleep(_LATE)  # nothing of this is on its way when the next thing happens
        topics.wait_drained(settings, "worker", _READY)
        written = sorted(_written(settings))
        if len(written) != len(load.ledger.rows):
            raise AssertionError(f"{len(load.ledger.rows)} rows are due, {len(written)} stand")
        for name, (began, ended, rebalances) in spans.items():
            yield name, _cost(written, began, ended, rebalances)


def _generation(workers: Sequence[Worker]) -> int:
    return max(int(found) for one in workers for found in re.findall(r'"generation (\d+)"', one.log))


def _written(settings: Settings) -> Iterator[tuple[float, float]]:
    """When each row was written (last), and when its post was received."""
    asked = "SELECT received_at, writetime(received_at) AS at FROM {keyspace}."
    for row in rows.query(settings, asked + TWEET):
        yield row["at"] / 1e6, (row["received_at"] - _EPOCH).total_seconds()


def _cost(written: Sequence[tuple[float, float]], began: float, ended: float, rebalances: int) -> Cost:
    moments = [began, *(at for at, _ in written if began <= at <= ended), ended]
    silent = [later - earlier for earlier, later in pairwise(moments) if later - earlier > _SILENT]
    waited = [at - received for at, received in written if began <= received <= ended]
    late = 100 * sum(one > _LATE for one in waited) / len(waited)
    return Cost(rebalances, max(silent, default=0), sum(silent), max(waited), late)


@click.command()
@click.option("--runs", type=click.IntRange(1), default=2, show_default=True, help="Of each way.")
@click.option("--rate", type=click.FloatRange(1), default=500, show_default=True, help="Posts a second.")
@click.option("--only", type=click.Choice([way.name for way in WAYS]), help="One way.")
def main(runs: int, rate: float, only: str | None) -> None:
    """Measure what restarts and deaths of workers cost; medians, and of the longest times the longest."""
    ways = [way for way in WAYS if only in (None, way.name)]
    with ExitStack() as opened:
        stack = opened.enter_context(servers())
        found: dict[tuple[str, str], list[Cost]] = {}
        for number in range(runs):
            for way in ways:
                for name, cost in measure(stack, way, rate):
                    found.setdefault((name, way.name), []).append(cost)
                    figures = " ".join(f"{figure:.1f}" for figure in cost)
                    click.echo(f"run {number + 1}, {way.name}, {name}: {figures}", err=True)
        click.echo(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
        click.echo("| what happens | membership | rebalances | silent, longest | in all | waited, longest | late % |")
        click.echo("|---|---|---|---|---|---|---|")
        for name in CASES:
            for way in ways:
                click.echo(_row(name, way.name, found[name, way.name]))


def _row(name: str, way: str, costs: Sequence[Cost]) -> str:
    rebalances, _, silent, _, late = (median(figures) for figures in zip(*costs, strict=True))
    longest, waited = max(one.silent_most for one in costs), max(one.waited_most for one in costs)
    return f"| {name} | {way} | {rebalances:g} | {longest:.1f} | {silent:.1f} | {waited:.1f} | {late:.1f} |"


if __name__ == "__main__":
    sys.exit(main())
