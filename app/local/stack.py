"""Kafka, Cassandra and a supervised worker, kept in one directory; `starling up`, `down` and `status` are this.

    with the defaults: Stack().start(); Stack().stop()
    in a test:         Stack(tmp_path).start()

What runs is in `stack.json`; data stays in `data` until it is purged.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from threading import Event, Lock
from typing import Literal

from app.errors import UserError
from app.local import docker
from app.local.artifacts import Report, fetch
from app.local.cassandra import CassandraServer
from app.local.chosen import differing, remember
from app.local.java import Java, find_java
from app.local.kafka import KafkaServer
from app.local.probe import cassandra_answers, kafka_answers, web_answers
from app.local.process import spawn
from app.local.record import Part, Record, read_child
from app.local.server import HOST, Server, free_ports, is_free, log_end, refuse_taken
from app.settings import STACK_FILE, Settings, state_dir
from app.tracking.spool import check_usable

State = Literal["up", "down", "stale", "off"]

SERVERS: tuple[type[Server], ...] = (KafkaServer, CassandraServer)
WORKER = "worker"
ANSWERS: dict[str, Callable[[str, int], bool]] = {
    "kafka": kafka_answers,
    "cassandra": cassandra_answers,
    WORKER: lambda host, port: web_answers(host, port, "/healthz"),
}
WORKER_PATIENCE = 40.0  # its supervisor gives it 30
OWN = ("data", "conf", "logs", "spool")
REFUSAL = "starling: "  # how every command begins the one line that says why it ends
ROOM_NEEDED = 2 * 2**30  # Cassandra stops writing on a full disk; commit logs alone take half a GB
LOCK_TIMEOUT = 300.0


@dataclass(frozen=True)
class Status:
    """How a part does: up; down (no answer, or never started); stale (its process is gone); off (not wanted)."""

    name: str
    state: State
    address: str | None = None
    pid: int | None = None
    container: str | None = None
    seconds: float | None = None


class Stack:
    """The local stack in a directory. Its methods raise UserError with a message for the user."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = (directory or state_dir()).absolute()
        self._worker_log = self.directory / "logs" / "worker.log"
        self._file = self.directory / STACK_FILE
        self._child_file = self.directory / "worker.json"
        self._chosen_file = self.directory / "worker-settings.json"
        self._writing = Lock()

    @property
    def addresses(self) -> dict[str, str]:
        """Address by name of what was started, as `app.settings` reads them."""
        record = Record(self._file)
        return {name: part.address for name in record if name != WORKER and (part := record.get(name))}

    def start(self, report: Report = lambda _: None, *, in_docker: bool = False) -> list[str]:
        """Start what does not run yet, both at once, and wait until it answers; give the names of what was started."""
        with self._locked(report):
            record = Record(self._file)
            missing = [kind for kind in SERVERS if not ((part := record.get(kind.name)) and part.alive())]
            if missing:
                self._check_room()
            java = find_java() if missing and not in_docker else None
            cancelled = Event()

            def told(line: str) -> None:
                if cancelled.is_set():  # this ends a fetch too
                    raise UserError("the start was broken off")
                report(line)

            def one(kind: type[Server]) -> None:
                if kind not in missing:
                    self._await_running(kind, record)
                elif java is None:
                    self._start_container(kind, record, told)
                else:
                    self._start_process(kind, record, java, cancelled, told)

            try:
                _all_at_once([lambda kind=kind: one(kind) for kind in SERVERS], cancelled)  # type: ignore[misc]
            except BaseException:
                self._stop_parts([kind.name for kind in missing], record)
                raise
            return [kind.name for kind in missing]

    def check_worker(self, *, anew: bool = False) -> None:
        """Raise UserError if a worker is to be started and something else has its port, or it could not keep posts.

        One that runs is left as it is, unless it is to be started `anew`.
        """
        running = (part := Record(self._file).get(WORKER)) and part.alive() and part.address
        if running and not anew:
            return
        wanted = Settings()
        if running != _web_address(wanted):
            refuse_taken(*_web_port())
        if wanted.source_names:
            check_usable(wanted.spool)

    def worker_address(self) -> str:
        """Where the worker that was started serves its pages; another than the settings say, if these changed since."""
        part = Record(self._file).get(WORKER)
        if part is None:
            raise UserError("the worker was stopped meanwhile")
        return part.address

    def worker_refused(self) -> str | None:
        """Why the worker ends as soon as it is started, where it has said so in one line."""
        part = Record(self._file).get(WORKER)
        if part is None or not self._worker_log.exists() or self._worker_log.stat().st_mtime < part.since:
            return None
        *_, said, ended = ["", "", *self._worker_log.read_text(errors="replace").splitlines()]
        if not (said.startswith(REFUSAL) and ended.startswith("supervisor: the worker ended")):
            return None
        return f"{said.removeprefix(REFUSAL)} (`starling up --restart-worker` starts it with other settings)"

    def worker_words(self) -> str:
        """The end of the worker's log, for an error message."""
        return log_end(self._worker_log) or f"it left no log in {self._worker_log.parent}"

    def start_worker(self) -> bool:
        """Start `starling worker --role all` under supervision; False when it runs already."""
        with self._locked():
            record = Record(self._file)
            if (part := record.get(WORKER)) and part.alive():
                return False
            self._stop_stray()
            chosen = Settings()
            refuse_taken(*_web_port())
            remember(self._chosen_file, chosen)
            environment = {**os.environ, **_paths(chosen), "STARLING_STATE_DIR": str(self.directory)}
            command = [sys.executable, "-P", "-m", "app.local.supervise", str(self.directory)]
            process = spawn(command, self.directory / "logs" / "supervisor.out", environment)
            record.put(WORKER, Part(_web_address(chosen), time.time(), process))
            return True

    def worker_differs(self) -> list[str]:
        """Names of the settings that the worker which runs has others of than these."""
        return differing(self._chosen_file, Settings())

    def stop_worker(self) -> None:
        """Stop the worker alone, where one runs."""
        with self._locked():
            self._end_worker(Record(self._file))

    def stop(self, *, purge: bool = False) -> list[str]:
        """Stop what this directory started, the worker first; give the names of what ran. `purge` removes its data."""
        with self._locked():
            record = Record(self._file)
            running = [name for name in record if (part := record.get(name)) and part.alive()]
            self._end_worker(record)
            self._stop_parts([kind.name for kind in SERVERS], record)
            if purge:
                for name in OWN:
                    shutil.rmtree(self.directory / name, ignore_errors=True)
            return running

    def status(self) -> list[Status]:
        """How each part does."""
        record = Record(self._file)
        return [_status(name, record.get(name)) for name in (*(kind.name for kind in SERVERS), WORKER)]

    def _end_worker(self, record: Record) -> None:
        self._stop_parts([WORKER], record)
        self._stop_stray()
        self._chosen_file.unlink(missing_ok=True)

    def _stop_stray(self) -> None:
        """End a worker whose supervisor was killed."""
        if child := read_child(self._child_file):
            child.stop(WORKER_PATIENCE)
        self._child_file.unlink(missing_ok=True)

    def _start_process(self, kind: type[Server], record: Record, java: Java, cancelled: Event, report: Report) -> None:
        jars = fetch(kind.artifacts, java, report)
        server = kind(self.directory, self._port(record.get(kind.name)))
        report(f"starting {kind.artifacts.name} {kind.artifacts.version}")
        process = server.start(java, jars)
        with self._writing:
            record.put(kind.name, Part(f"{HOST}:{server.port}", time.time(), process))
        server.wait_ready(process, cancelled)
        report(f"{kind.artifacts.name} answers at {HOST}:{server.port}")

    def _start_container(self, kind: type[Server], record: Record, report: Report) -> None:
        report(f"starting a container for {kind.artifacts.name}")
        container, address = docker.start(kind.name, self.directory)
        with self._writing:
            record.put(kind.name, Part(address, time.time(), container=container))
        self._await_running(kind, record)
        report(f"{kind.artifacts.name} answers at {address}")

    def _await_running(self, kind: type[Server], record: Record) -> None:
        """It may be one that an interrupted start left behind, still busy."""
        part = record.get(kind.name)
        deadline = time.monotonic() + 30
        while part and not _answers(kind.name, part):
            if time.monotonic() > deadline or not part.alive():
                raise UserError(
                    f"{kind.artifacts.name} runs but does not answer at {part.address}; try `starling down`"
                )
            time.sleep(0.2)

    def _port(self, stale: Part | None) -> int:
        """The port it had before, so that a worker which still runs finds it again; else a free one."""
        before = int(stale.address.rpartition(":")[2]) if stale and stale.process else 0
        return before if before and is_free(before) else free_ports(1)[0]

    def _stop_parts(self, names: list[str], record: Record) -> None:
        patience = {WORKER: WORKER_PATIENCE, **{kind.name: kind.stop_patience for kind in SERVERS}}

        def one(name: str) -> None:
            if part := record.get(name):
                part.stop(patience[name])
                with self._writing:
                    record.drop(name)

        _all_at_once([lambda name=name: one(name) for name in names], Event())  # type: ignore[misc]

    def _check_room(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if (free := shutil.disk_usage(self.directory).free) < ROOM_NEEDED:
            raise UserError(f"too little room in {self.directory}: {free >> 20} MB free, {ROOM_NEEDED >> 20} MB needed")

    @contextmanager
    def _locked(self, report: Report = lambda _: None) -> Iterator[None]:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            handle = (self.directory / ".lock").open("w")
        except OSError as error:
            raise UserError(
                f"{self.directory} cannot be written to ({(error.strerror or '').lower()}); "
                "STARLING_STATE_DIR names another directory"
            ) from None
        deadline = time.monotonic() + LOCK_TIMEOUT
        with handle:
            told = False
            while True:
                try:
                    flock(handle, LOCK_EX | LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise UserError(f"another `starling up` or `down` is busy in {self.directory}") from None
                    if not told:
                        report("waiting for another `starling up` or `down`")
                        told = True
                    time.sleep(0.1)
            yield


def _all_at_once(jobs: list[Callable[[], None]], cancelled: Event) -> None:
    """Run each job in a thread; the first failure, or a Ctrl-C here, breaks off the others and is raised."""
    if not jobs:
        return
    with ThreadPoolExecutor(len(jobs)) as pool:
        running: list[Future[None]] = [pool.submit(job) for job in jobs]
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
            for future in sorted(done, key=running.index):
                future.result()
        finally:
            cancelled.set()


def _web_port() -> tuple[str, int]:
    return "the worker's web pages (STARLING_WEB_PORT)", Settings().web_port


def _paths(chosen: Settings) -> dict[str, str]:
    """Settings that are paths, for a process that runs in another directory."""
    return {f"STARLING_{name.upper()}": str(path.absolute()) for name, path in chosen if isinstance(path, Path)}


def _web_address(chosen: Settings) -> str:
    return f"{chosen.web_host}:{chosen.web_port}"


def _answers(name: str, part: Part) -> bool:
    host, _, port = part.address.rpartition(":")
    return ANSWERS[name](host, int(port))


def _status(name: str, part: Part | None) -> Status:
    if part is None:
        return Status(name, "off" if name == WORKER else "down")
    pid = part.process.pid if part.process else None
    if not part.alive():
        return Status(name, "stale", part.address, pid, part.container)
    state: State = "up" if _answers(name, part) else "down"
    return Status(name, state, part.address, pid, part.container, time.time() - part.since)
