"""`python -m benchmarks.upgrade --old COMMIT`: one version replaced by another under load, and back.

Starts servers, a simulator and the processes of both versions. `STARLING_BENCH_STACK=directory` takes a stack that runs
there. Both versions run with the packages that are installed.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import click

from app.demo import events as commands
from app.demo.comparing import compare
from app.demo.ledger import Ledger
from app.demo.plan import EVENTS, LIVE_EVENT, LIVE_RATE
from app.domain.codes import code_of
from app.domain.events import Definition
from app.domain.posts import read
from app.local.stack import Stack
from app.settings import Settings
from app.topics import RAW
from benchmarks.load import Load
from benchmarks.servers import servers
from tests.support import events, rows, topics, tracking
from tests.support.expected import expected
from tests.support.place import environment, place
from tests.support.simulator import Simulator
from tests.support.workers import STARLING, Worker, worker

# In the order in which they are replaced: as the README of Kubernetes says.
PROCESSES = ("worker", "worker", "manager", "tracker", "tracker", "indexer")
_READY = 180  # seconds; a loaded machine starts slowly
_ROOT = Path(__file__).parent.parent
_LIVE = code_of(str(LIVE_EVENT.name))


class Version(NamedTuple):
    """A version, and the command that runs it."""

    name: str
    command: list[str]

    def migrate(self, settings: Settings) -> None:
        """`starling migrate`, as this version does it."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("STARLING_")}
        patient = settings.model_copy(update={"connect_timeout": rows.PATIENCE})
        subprocess.run([*self.command, "migrate"], check=True, timeout=_READY, env=inherited | environment(patient))


NEW = Version("new", [str(STARLING)])


@contextmanager
def older(commit: str) -> Iterator[Version]:
    """The version of a commit, in a work tree of its own."""
    with tempfile.TemporaryDirectory() as directory:
        tree = str(Path(directory) / "old")
        git = ["git", "-C", str(_ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", tree, commit], check=True, timeout=60)
        try:
            # -P: not the code of the directory where this runs.
            python = [sys.executable, "-P", "-c", "from cli import main; main()"]
            yield Version("old", ["env", f"PYTHONPATH={tree}", *python])
        finally:
            subprocess.run([*git, "remove", "--force", tree], check=True, timeout=60)


class Outcome(NamedTuple):
    """What stands in the end of what was sent. All but the first two must be none."""

    posts: int
    heard: int  # by the trackers, of a live source
    lost: int
    wrong: int  # rows with a column that is not as it was planted
    unexpected: int
    miscounted: int  # posts counted too often or too seldom
    letters: int  # dead letters too many or too few
    live_lost: int  # sent by the live source, neither in Kafka nor in a gap that is told; or in Kafka and not stored
    live_added: int

    @property
    def sound(self) -> bool:
        """Whether nothing is lost, doubled or changed."""
        return not any(self[2:])


def run(stack: Stack, before: Version, after: Version, rate: float, beside: float) -> Outcome:
    """All processes of one version, replaced one by one by the other's while posts come."""
    with ExitStack() as opened:
        asked = ["--event", f"{LIVE_EVENT.name}:{','.join(LIVE_EVENT.keywords or ())}", "--wires", "x"]
        asked += ["--rate", str(LIVE_RATE)]
        simulator = opened.enter_context(Simulator(*asked, posts=None, token=tracking.TOKEN))
        spool = opened.enter_context(tempfile.TemporaryDirectory())
        settings = opened.enter_context(place(stack, before.migrate, **tracking.x(simulator, spool_dir=spool)))
        processes = [opened.enter_context(worker(settings, role, before.command)) for role in PROCESSES]
        for one in processes:
            one.wait_ready(_READY)
        made = asyncio.run(commands.create(settings, EVENTS, rate))
        asyncio.run(commands.create(settings, [LIVE_EVENT], LIVE_RATE))
        simulator.wait_connected("x", _READY)
        with Load(settings, made, rate) as load:
            time.sleep(beside)
            after.migrate(settings)
            for number, one in enumerate(processes):
                replace(one, after)
                # Whichever version the manager has, it decides, and all the others follow.
                name = f"After {number}"
                asyncio.run(commands.create(settings, [Definition(name=name, keywords=(f"nobodysays{number}",))], 1))
                time.sleep(beside)
            time.sleep(beside)
        for one in processes:
            if one.role == "tracker":
                one.term(_READY)
        for role in ("worker", "indexer"):
            topics.wait_drained(settings, role, _READY)
        found = outcome(settings, load.ledger, simulator)
        said = Counter((one.role, str(entry.get("event"))[:150]) for one in processes for entry in one.complaints())
        for (role, text), times in sorted(said.items()):
            click.echo(f"{role} said {times} times: {text}", err=True)
        return found


def replace(one: Worker, version: Version) -> None:
    """End a process as Kubernetes does, and start another version of it."""
    began = time.monotonic()
    status = one.term(_READY)
    took = time.monotonic() - began
    one.restart(version.command)
    one.wait_ready(_READY)
    click.echo(f"{one.role} → {version.name}: ended with {status} after {took:.1f} s", err=True)


def outcome(settings: Settings, ledger: Ledger, simulator: Simulator) -> Outcome:
    """Compare all that stands with what was planted and sent."""
    counted = Counter[str]()
    for key, part in topics.activity(settings, "worker").items():
        counted[key.partition("|")[0]] += part.posts
    live = tracking.stored(settings, _LIVE)
    heard, wanted = _heard(settings)
    sent_at = {entry["id"]: entry["at"] * 1000 for entry in simulator.log(what="post") if entry["sent"]}
    told = [(one.since, one.until) for one in tracking.ledger(settings)[0]]
    due = tracking.due(simulator, settings, _LIVE)
    unheard = {post for post in due - heard if any(since <= sent_at[post] <= until for since, until in told)}
    miscounted = sum(abs(counted[code] - counts.posts) for code, counts in ledger.counts.items())
    miscounted += abs(counted[_LIVE] - len(live))
    letters = abs(len(topics.dead_letters(settings)) - ledger.malformed.total())
    posts = ledger.posts
    with rows.patient_session(settings) as cassandra:
        found = compare(cassandra, settings.keyspace, events.events(settings), ledger)
    for difference in found.differences:
        if difference.event != _LIVE:
            click.echo(f"{difference.event} {difference.column or 'row'}", err=True)
    return Outcome(
        posts=posts,
        heard=len(live),
        lost=found.missing,
        wrong=found.wrong,
        unexpected=found.unexpected - len(live),
        miscounted=miscounted,
        letters=letters,
        live_lost=len(unheard) + len(wanted - live),
        live_added=len(live - wanted),
    )


def _heard(settings: Settings) -> tuple[set[str], set[str]]:
    """Posts that trackers have sent to Kafka, and those of them that belong to the live event.

    X's rules let a post through that the matcher does not want.
    """
    records = [one for one in topics.read(settings, RAW) if "connection" in dict(one.headers)]
    sent = [
        (
            topics.Raw(one.value, one.partition, one.key, one.headers),
            topics.Sent(one.partition, one.offset, one.timestamp),
        )
        for one in records
    ]
    rows_due = expected(settings, events.events(settings), sent).rows
    posts = [read(line) for one in records for line in one.value.split(b"\n") if line]
    heard = {post.id for found in posts if isinstance(found, list) for post in found}
    return heard, {post for code, post in rows_due if code == _LIVE}


@click.command()
@click.option("--old", required=True, metavar="COMMIT", help="The other version.")
@click.option("--rate", type=click.FloatRange(1), default=500, show_default=True, help="Posts a second.")
@click.option("--beside", type=click.FloatRange(0), default=8, show_default=True, help="Seconds after each step.")
@click.option("--only", type=click.Choice(["upgrade", "rollback"]), help="One direction.")
def main(old: str, rate: float, beside: float, only: str | None) -> None:
    """Replace versions under load; status 1 where something is lost, doubled or wrong."""
    with ExitStack() as opened:
        stack = opened.enter_context(servers())
        before = opened.enter_context(older(old))
        ways = {"upgrade": (before, NEW), "rollback": (NEW, before)}
        sound = True
        click.echo(f"| | {' | '.join(Outcome._fields)} |\n|---|{'---|' * len(Outcome._fields)}")
        for name in [only] if only else ways:
            found = run(stack, *ways[name], rate, beside)
            sound &= found.sound
            click.echo(f"| {name} | {' | '.join(str(figure) for figure in found)} |")
    sys.exit(not sound)


if __name__ == "__main__":
    main()
