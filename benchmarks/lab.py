"""Sets a contest up: a stack, a temporary directory, contestants with topics and keyspaces of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic

import msgspec

from app.clients.cassandra import session
from app.domain.events import Event
from app.local.server import free_ports
from app.local.stack import Stack
from app.roles import Role, app_id
from app.settings import Settings
from app.topics import CLASSIFIED, RAW, full_name
from benchmarks.broker import Broker, drop_keyspace, prepare, wait_for
from benchmarks.contestants.job import Job
from benchmarks.data import Case, Corpus
from benchmarks.process import Measured, wait_calm
from benchmarks.servers import servers

READY_SECONDS = 90
DONE_SECONDS = 300
HELD_SECONDS = 6  # of the 10 after which Starling's consumer group drops a member


@dataclass(frozen=True)
class Run:
    """One measured run of one contestant."""

    posts: int
    cpu: float
    wall: float

    @property
    def posts_per_cpu(self) -> float:
        return self.posts / self.cpu


class Contestant:
    """Processes that read one raw topic, and the groups by which to see how far they are."""

    def __init__(self, name: str, settings: Settings, groups: dict[str, list[str]], record: int) -> None:
        self.name = name
        self.settings = settings
        self.groups = groups  # group -> topics, in the order in which a post passes them
        self.record = record  # posts in a raw record
        self.processes: list[Measured] = []
        self.runs: list[Run] = []

    @property
    def raw_topic(self) -> str:
        return full_name(RAW, self.settings)

    def signal(self, number: int) -> None:
        for process in self.processes:
            os.kill(process.pid, number)

    def cpu(self) -> float:
        return sum(process.cpu() for process in self.processes)


class Lab:
    """The stack and the directory that all measurements share."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self.directory = directory
        self.addresses = stack.addresses
        self.servers = {one.name: one.pid for one in stack.status() if one.state == "up" and one.pid}
        self.broker = Broker(self.addresses["kafka"])
        self._corpus: Corpus | None = None

    @property
    def corpus(self) -> Corpus:
        if self._corpus is None:
            self._corpus = Corpus()
        return self._corpus

    @contextmanager
    def contest(self) -> Iterator[Contest]:
        """A contest; its processes, topics and keyspaces are gone afterwards."""
        made = Contest(self)
        try:
            yield made
        finally:
            made.close()


class Contest:
    """Contestants that start together, run in turn and end together."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._made: list[Settings] = []
        self.contestants: list[Contestant] = []

    def starling(
        self,
        name: str,
        role: Role,
        events: Sequence[Event],
        record: int = 64,
        more: Mapping[str, str] | None = None,
    ) -> Contestant:
        """Starling's own worker, in this role; `more` is of its environment. A tracker reads no topic by a group."""
        made = Contestant(name, self._settings(events), {}, record)
        self.join(made, role, more)
        return made

    def join(self, one: Contestant, role: Role, more: Mapping[str, str] | None = None) -> None:
        """Start one more process of Starling's beside those it has, in another role: all do their parts of one work."""
        settings = one.settings
        topics = [RAW] if role.classifies else []
        topics += [CLASSIFIED] if role.normalizes or role.indexes else []
        if topics:
            one.groups[app_id(role, settings)] = [full_name(topic, settings) for topic in topics]
        port = free_ports(1)[0]
        environment = {
            "STARLING_KAFKA": settings.kafka,
            "STARLING_CASSANDRA": settings.cassandra,
            "STARLING_TOPIC_PREFIX": settings.topic_prefix,
            "STARLING_KEYSPACE": settings.keyspace,
            "STARLING_WEB_PORT": str(port),
            "STARLING_LOG_LEVEL": "warning",
            **(more or {}),
        }
        profiler = os.environ.get("STARLING_BENCH_PROFILER", "").split()
        command = [*profiler, "-c", "from cli import main; main()", "worker", "--role", role.value]
        self._start(one, command, environment, role.value)
        wait_for(f"{one.name} is ready", lambda: _ready(one.processes[-1], port), READY_SECONDS, 0.3)

    def other(
        self,
        name: str,
        module: str,
        events: Sequence[Event],
        record: int = 64,
        modes: Sequence[str] = ("",),
        before: Callable[[Settings], None] = lambda _: None,
    ) -> Contestant:
        """A contestant of `benchmarks.contestants`, one process a mode, all reading the same topic."""
        settings = self._settings(events)
        before(settings)
        group = f"{settings.topic_prefix}{module}"
        groups = [f"{group}-{mode}" for mode in modes] if len(modes) > 1 else [group]
        topics = [full_name(RAW, settings)] + ([full_name(CLASSIFIED, settings)] if "steps" in modes else [])
        made = Contestant(name, settings, dict.fromkeys(groups, topics), record)
        for mode in modes:
            file = self.job_file(settings, group, events, mode)
            self._start(made, ["-m", f"benchmarks.contestants.{module}", str(file)], {}, f"{module}-{mode}")
        return made

    def listener(self, name: str, module: str, events: Sequence[Event], url: str) -> Contestant:
        """A contestant that listens to a server and fills its raw topic."""
        settings = self._settings(events)
        made = Contestant(name, settings, {}, 64)
        file = self.job_file(settings, "", events, url=url)
        self._start(made, ["-m", f"benchmarks.contestants.{module}", str(file)], {}, module)
        return made

    def job_file(self, settings: Settings, group: str, events: Sequence[Event], mode: str = "", url: str = "") -> Path:
        """What a contestant is told, as a file."""
        given = Job(
            kafka=settings.kafka,
            cassandra=settings.cassandra,
            prefix=settings.topic_prefix,
            keyspace=settings.keyspace,
            group=group,
            raw_topic=full_name(RAW, settings),
            classified_topic=full_name(CLASSIFIED, settings),
            events=list(events),
            mode=mode,
            url=url,
        )
        file = self._lab.directory / f"{settings.keyspace}-{mode or 'job'}.json"
        file.write_bytes(msgspec.json.encode(given))
        return file

    def settle(self) -> None:
        """Wait until every contestant has its partitions and rests."""
        for one in self.contestants:
            for group in one.groups:
                wait_for(f"{one.name} has joined", partial(self._joined, one, group), READY_SECONDS, 0.3)
        wait_calm([process for one in self.contestants for process in one.processes])

    def run(self, one: Contestant, stream: Path, posts: int, skip: int = 0, code: str = "") -> Run:
        """Feed a contestant, and measure until it has committed everything.

        It is held while the topic fills, so that neither the producer's pace nor what else runs on the machine decides
        how much it finds at a time; not for longer than its consumer group allows.
        """
        before = one.cpu()
        one.signal(signal.SIGSTOP)
        try:
            with subprocess.Popen(self.feeding(one, stream, posts, skip, code)) as feeding:
                with suppress(subprocess.TimeoutExpired):
                    feeding.wait(HELD_SECONDS)
                one.signal(signal.SIGCONT)
                began = monotonic()
        finally:
            one.signal(signal.SIGCONT)
        if feeding.returncode:
            raise RuntimeError(f"feeding {one.name} ended with status {feeding.returncode}")
        self.await_through(one)
        run = Run(posts, one.cpu() - before, monotonic() - began)
        one.runs.append(run)
        return run

    def await_through(self, one: Contestant) -> None:
        """Return when a contestant has committed everything."""
        wait_for(f"{one.name} is through", lambda: self.through(one), DONE_SECONDS, 0.2)

    def feeding(self, one: Contestant, stream: Path, posts: int, skip: int = 0, code: str = "") -> list[str]:
        """The command that writes a part of a stream to its raw topic; with a code as an import into that event."""
        command = [sys.executable, "-m", "benchmarks.produce", one.settings.kafka, one.raw_topic, str(stream)]
        return [*command, "--posts", str(posts), "--skip", str(skip), "--record", str(one.record), "--event", code]

    def close(self) -> None:
        for one in self.contestants:
            for process in one.processes:
                process.stop()
        for settings in self._made:
            self._lab.broker.drop(settings.topic_prefix)
            drop_keyspace(settings)

    def _settings(self, events: Sequence[Event]) -> Settings:
        mark = f"b{uuid.uuid4().hex[:8]}"
        settings = Settings.model_validate({**self._lab.addresses, "topic_prefix": f"{mark}-", "keyspace": mark})
        self._made.append(settings)
        prepare(settings, events)
        return settings

    def _start(self, one: Contestant, command: list[str], environment: dict[str, str], log: str) -> None:
        if one not in self.contestants:
            self.contestants.append(one)
        file = self._lab.directory / f"{one.settings.keyspace}-{log}.log"
        one.processes.append(Measured(command, file, environment))

    def _joined(self, one: Contestant, group: str) -> bool:
        one.cpu()  # raises where a process has ended
        return self._lab.broker.stable(group)

    def through(self, one: Contestant) -> bool:
        """Whether it has committed everything that is in its topics."""
        one.cpu()
        return all(self._lab.broker.through(group, topic) for group, topics in one.groups.items() for topic in topics)


def _ready(process: Measured, port: int) -> bool:
    process.check()
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def open_lab() -> Iterator[Lab]:
    """A lab: with the stack in STARLING_BENCH_STACK if that is set, else with one of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="starling-bench-", ignore_cleanup_errors=True) as directory,
        servers(lambda line: print(f"  {line}", file=sys.stderr)) as stack,
    ):
        yield Lab(stack, Path(directory))


def rows_of(settings: Settings) -> int:
    """Rows that Starling's table holds, counted bucket by bucket."""
    with session(settings) as cassandra:
        buckets = list(cassandra.execute(f"SELECT event_name, bucket FROM {settings.keyspace}.event_bucket"))  # noqa: S608
        count = cassandra.prepare(f"SELECT count(*) FROM {settings.keyspace}.tweet WHERE event_name = ? AND bucket = ?")  # noqa: S608
        return sum(cassandra.execute(count, bucket, timeout=60).one()[0] for bucket in buckets)


def bare(lab: Lab, contest: Contest, case: Case, posts: int, kind: str) -> dict[str, float]:
    """A run of the bare loop, in a process of its own."""
    settings = contest.contestants[0].settings
    file = contest.job_file(settings, "", case.events, "bare")
    command = ["-m", "benchmarks.contestants.bare", str(file), str(case.stream), str(posts), kind]
    done = subprocess.run([sys.executable, *command], check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = msgspec.json.decode(done.stdout)
    return found
