"""A cluster on one machine: Cassandra's nodes and Spark's workers, each at a loopback address of its own.

Linux answers at all of 127.0.0.0/8. Spark's master and workers are started as in deploy/components/analysis, but
without the secret: nobody else reaches these addresses.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pyspark

from app.clients.cassandra import session
from app.local.artifacts import CASSANDRA, Report, fetch
from app.local.cassandra import JMX_VARIABLE, CassandraServer
from app.local.java import Java, find_java
from app.local.probe import cassandra_answers
from app.local.process import Process, spawn
from app.local.server import HOST, free_ports
from app.settings import Settings
from benchmarks.broker import wait_for

_TOKENS = 2**64
_START_SECONDS = 300.0  # a machine that others use too starts slowly
_STOP_SECONDS = 20.0
_DELAY_MS = 30_000
_PATIENCE = "30000ms"
_DAEMON_MEMORY = "256m"  # as deployed


@dataclass(frozen=True)
class Node(CassandraServer):
    """One of several that own equal parts of the ring."""

    host: str
    token: int
    storage_port: int  # the same for all
    seed: str

    def start(self, java: Java, jars: Path) -> Process:
        """Start the process. Its port is another node's too, at another address."""
        for place in (self.data, self.conf, self.log.parent):
            place.mkdir(parents=True, exist_ok=True)
        return spawn(self.command(java, jars), self.output)

    def command(self, java: Java, jars: Path) -> list[str]:
        """The command; it gives up on the others after the ring's delay, of which a single node has none."""
        *command, daemon = super().command(java, jars)
        return [*command, f"-Dcassandra.ring_delay_ms={_DELAY_MS}", daemon]

    def answers(self) -> bool:
        return cassandra_answers(self.host, self.port)

    def _config(self, _free_port: int) -> dict[str, Any]:
        config = super()._config(self.storage_port)
        config["seed_provider"][0]["parameters"] = [{"seeds": f"{self.seed}:{self.storage_port}"}]
        own = {"listen_address": self.host, "rpc_address": self.host, "initial_token": str(self.token)}
        # Three on one machine, which may have other work: an answer that comes late is one all the same.
        return config | own | {f"{what}_request_timeout": _PATIENCE for what in ("write", "read", "range")}


@dataclass(frozen=True)
class Ring:
    """Nodes that know each other."""

    addresses: dict[str, str]  # as settings want it
    pids: list[int]


@contextmanager
def ring(directory: Path, hosts: Sequence[str], report: Report) -> Iterator[Ring]:
    """Cassandra at each of these addresses, started one after the other; gone afterwards."""
    java = find_java()
    jars = fetch(CASSANDRA, java, report)
    port, storage_port = free_ports(2)
    with ExitStack() as running:
        running.enter_context(_without_jmx())
        pids = []
        for number, host in enumerate(hosts):
            token = number * _TOKENS // len(hosts) - _TOKENS // 2
            node = Node(directory / f"cassandra-{host}", port, host, token, storage_port, hosts[0])
            process = node.start(java, jars)
            running.callback(process.stop, node.stop_patience)
            wait_for(f"Cassandra answers at {host}", lambda: _answers(node, process), _START_SECONDS)  # noqa: B023 -- now
            report(f"Cassandra answers at {host}:{port}")
            pids.append(process.pid)
        addresses = {"cassandra": ",".join(f"{host}:{port}" for host in hosts)}
        wait_for("all nodes know each other", lambda: _together(addresses, len(hosts)), _START_SECONDS, 0.5)
        yield Ring(addresses, pids)


def _answers(node: Node, process: Process) -> bool:
    if not process.alive():
        raise RuntimeError(f"Cassandra ended while it started; {node.last_words()}")
    return node.answers()


@contextmanager
def _without_jmx() -> Iterator[None]:
    """The port that is told may be another Cassandra's, and three could not share it."""
    told = os.environ.pop(JMX_VARIABLE, None)
    try:
        yield
    finally:
        if told is not None:
            os.environ[JMX_VARIABLE] = told


def _together(addresses: Mapping[str, str], count: int) -> bool:
    """Whether each node knows all others."""
    hosts = addresses["cassandra"].split(",")
    for host in hosts:
        with session(Settings.model_validate({"cassandra": host})) as cassandra:
            known = cassandra.cluster.metadata.all_hosts()
            if len(known) != count or not all(one.is_up for one in known):
                return False
    return True


@dataclass(frozen=True)
class SparkCluster:
    """A master and its workers."""

    master: str
    workers: list[int]  # pids; executors are started by them
    directory: Path

    def config(self, executors: int, event_log: Path | None = None) -> dict[str, str]:
        """Spark's options for an application with so many executors of one core."""
        options = {
            "spark.driver.host": HOST,
            "spark.driver.bindAddress": HOST,
            "spark.driver.memory": "1g",
            "spark.executor.memory": "1g",
            "spark.executor.cores": "1",
            "spark.cores.max": str(executors),
            # No task before all of them are there: the first would hold what is not theirs.
            "spark.scheduler.minRegisteredResourcesRatio": "1.0",
            "spark.scheduler.maxRegisteredResourcesWaitingTime": "300s",
            "spark.pyspark.python": sys.executable,
        }
        if event_log is not None:
            event_log.mkdir()
            options |= {"spark.eventLog.enabled": "true", "spark.eventLog.dir": event_log.as_uri()}
            options |= {"spark.eventLog.compress": "false"}
        return options


@contextmanager
def spark_cluster(directory: Path, hosts: Sequence[str]) -> Iterator[SparkCluster]:
    """A standalone master and a worker of one core at each of these addresses; gone afterwards."""
    directory.mkdir()
    port, web = free_ports(2)
    master = f"spark://{HOST}:{port}"
    with ExitStack() as running:

        def start(name: str, kind: str, host: str, *options: str) -> Process:
            environment = _environment(host, directory / name)
            command: list[str | Path] = [_home() / "bin" / "spark-class", f"org.apache.spark.deploy.{kind}"]
            command += ["--host", host, *options]
            process = spawn(command, directory / f"{name}.log", environment)
            running.callback(process.stop, _STOP_SECONDS)
            return process

        processes = [start("master", "master.Master", HOST, "--port", str(port), "--webui-port", str(web))]
        wait_for("Spark's master answers", lambda: _alive(web, processes) >= 0, _START_SECONDS, 0.3)
        for number, host in enumerate(hosts):
            name = f"worker-{number}"
            options = ("--webui-port", "0", "--cores", "1", "--memory", "2g", "--work-dir", str(directory / name))
            processes.append(start(name, "worker.Worker", host, *options, master))
        wait_for("Spark's workers are there", lambda: _alive(web, processes) == len(hosts), _START_SECONDS, 0.3)
        yield SparkCluster(master, [process.pid for process in processes[1:]], directory)


def _alive(web: int, processes: Sequence[Process]) -> int:
    """Workers that the master knows; -1 while it does not answer."""
    if not all(process.alive() for process in processes):
        raise RuntimeError("Spark's master or one of its workers has ended while it started")
    try:
        with urlopen(f"http://{HOST}:{web}/json/", timeout=5) as answer:
            return int(json.load(answer)["aliveworkers"])
    except OSError:
        return -1


def _environment(host: str, local: Path) -> dict[str, str]:
    return {
        **os.environ,
        "JAVA_HOME": str(find_java().path.resolve().parent.parent),
        "SPARK_HOME": str(_home()),
        "SPARK_LOCAL_IP": host,  # else the pages listen everywhere
        "SPARK_LOCAL_DIRS": str(local / "local"),
        "SPARK_DAEMON_MEMORY": _DAEMON_MEMORY,
    }


def _home() -> Path:
    return Path(pyspark.__file__).parent
