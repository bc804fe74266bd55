"""Kafka and Cassandra as processes, set up by what `deploy/` says of their containers."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import yaml

from app.local.artifacts import fetch
from app.local.cassandra import CassandraServer
from app.local.java import Java, find_java
from app.local.kafka import KafkaServer
from app.local.server import HOST, Server, free_ports
from tests.support.orphans import end_with_us

Object = dict[str, Any]
PASSWORD = "0123456789abcdef" * 2
NAME = "localhost"  # of the broker
KEYS = "/etc/starling/servers"  # where all containers find certificates
GUIDE = Path(__file__).parents[2] / "docs" / "kubernetes.md"


def pod(things: list[Object], name: str) -> Object:
    """The pod of a StatefulSet."""
    (found,) = (one for one in things if one["kind"] == "StatefulSet" and one["metadata"]["name"] == name)
    return dict(found["spec"]["template"]["spec"])


def container(things: list[Object], name: str, which: str) -> Object:
    """One of its containers."""
    spec = pod(things, name)
    (found,) = (one for one in [*spec.get("initContainers", ()), *spec["containers"]] if one["name"] == which)
    return dict(found)


def told(found: Object, keys: Path) -> dict[str, str]:
    """What a container is told, with `keys` in place of the directory that would be mounted."""
    return {one["name"]: one["value"].replace(KEYS, str(keys)) for one in found.get("env", ()) if "value" in one}


def make_keys(directory: Path, kind: str = "rsa:2048") -> Path:
    """What the guide has people put into the Secret of the component `tls`, for a broker of this machine."""
    (commands,) = re.findall(r"```\n(openssl.*?)kubectl", GUIDE.read_text(), re.DOTALL)
    own = commands.replace("DNS:kafka,", f"DNS:{NAME},").replace("rsa:2048", kind)
    subprocess.run(["bash", "-ec", own], cwd=directory, capture_output=True, check=True, timeout=60)
    return directory


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), 1):
            return True
    except OSError:
        return False


@dataclass(frozen=True)
class DeployedKafka(KafkaServer):
    """The first broker, by the program that makes its configuration in the image."""

    things: tuple[Object, ...]
    keys: Path

    def command(self, java: Java, jars: Path) -> list[str]:
        """Have the container's own script say its environment, and the image's program make of it a configuration."""
        (controller_port,) = free_ports(1)
        found = container(list(self.things), "kafka", "kafka")
        (script,) = found["args"]
        assert "exec /etc/kafka/docker/run" in script
        given = told(found, self.keys)
        made_up = {"HOSTNAME": "kafka-0", "NODE_NAME": "node", "STARLING_KAFKA_PASSWORD": PASSWORD}
        done = subprocess.run(
            [*found["command"], script.replace("exec /etc/kafka/docker/run", "exec env -0")],
            env={"PATH": os.environ["PATH"]} | given | made_up,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        here = {"kafka-0.kafka-brokers": NAME, "//:": f"//{HOST}:", ":9092": f":{self.port}"}
        here |= {":9093": f":{controller_port}", "/srv/kafka/topics": str(self.data)}
        environment = {}
        for line in done.stdout.split("\0"):
            name, _, value = line.partition("=")
            if name.startswith("KAFKA_"):
                for theirs, ours in here.items():
                    value = value.replace(theirs, ours)
                environment[name] = value
        defaults, mounted, final = (self.conf / name for name in ("default", "mounted", "final"))
        for place in (defaults, mounted, final):
            place.mkdir(exist_ok=True)
        for name in ("server.properties", "log4j.properties", "tools-log4j.properties"):
            (defaults / name).write_text("log4j.rootLogger=WARN, stdout\n" if "log4j" in name else "")
        base = [str(java.path), "-cp", f"{jars}/*"]
        subprocess.run(
            [
                *(*base, "kafka.docker.KafkaDockerWrapper", "setup", "--default-configs-dir", str(defaults)),
                *("--mounted-configs-dir", str(mounted), "--final-configs-dir", str(final)),
            ],
            env={"PATH": os.environ["PATH"], "CLUSTER_ID": "MkU3OEVBNTcwNTJENDM2Qk", **environment},
            capture_output=True,
            check=True,
            timeout=120,
        )
        return [*base, *environment["KAFKA_HEAP_OPTS"].split(), "kafka.Kafka", str(final / "server.properties")]

    def answers(self) -> bool:
        """Whether it listens; more it tells nobody without a password."""
        return _listens(self.port)


@dataclass(frozen=True)
class DeployedCassandra(CassandraServer):
    """The first node; its settings went through the script of its init container."""

    things: tuple[Object, ...]
    keys: Path

    def command(self, java: Java, jars: Path) -> list[str]:
        """As the local one, but for what the manifests change."""
        command = super().command(java, jars)
        config = self.conf / "cassandra.yaml"
        image = self.conf / "image"
        image.mkdir(exist_ok=True)
        settings = json.loads(config.read_text())
        del settings["sai_options"]
        (image / config.name).write_text(yaml.safe_dump(settings))
        found = container(list(self.things), "cassandra", "settings")
        *shell, script = found["command"]
        script = script.replace("/etc/cassandra", str(image)).replace("/settings", str(self.conf))
        given = {"PATH": os.environ["PATH"]} | told(found, self.keys)
        subprocess.run([*shell, script], env=given, check=True, timeout=30)
        env = container(list(self.things), "cassandra", "cassandra")["env"]
        (options,) = (one["value"] for one in env if one["name"] == "JVM_EXTRA_OPTS")
        return [command[0], *options.split(), *command[1:]]

    def answers(self) -> bool:
        """Whether it listens; more it tells nobody without a password."""
        return _listens(self.port)


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    """Servers for the length of a block."""
    java = find_java()
    started = []
    try:
        for server in servers:
            started.append(server.start(java, fetch(server.artifacts, java, lambda _: None)))
            end_with_us(started[-1].pid)
        for server, process in zip(servers, started, strict=True):
            server.wait_ready(process, Event())
        yield
    finally:
        for process in started:
            process.stop(30)
