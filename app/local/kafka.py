"""Kafka as one KRaft node, broker and controller in one process."""

from __future__ import annotations

import base64
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from app.errors import UserError
from app.local.artifacts import KAFKA, Artifacts
from app.local.java import Java
from app.local.probe import kafka_answers
from app.local.server import HOST, Server, free_ports
from app.topics import MAX_RECORD_BYTES

FORMAT_TIMEOUT = 60.0

CONFIG = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}

# As in production: a topic that is missing is an error, not a topic with one partition.
auto.create.topics.enable=false
message.max.bytes={max_bytes}
replica.fetch.max.bytes={max_bytes}

# One node: nothing to replicate to, and no second member worth waiting for.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=6000

# Small: two cores, 1 GB.
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
"""

LOGGING = """\
log4j.rootLogger=INFO, file
log4j.appender.file=org.apache.log4j.RollingFileAppender
log4j.appender.file.File={log}
log4j.appender.file.MaxFileSize=10MB
log4j.appender.file.MaxBackupIndex=2
log4j.appender.file.layout=org.apache.log4j.PatternLayout
log4j.appender.file.layout.ConversionPattern=%d{{ISO8601}} %p %m (%c{{1}})%n
# These say every setting again at each start.
log4j.logger.kafka.server.KafkaConfig=WARN
log4j.logger.org.apache.kafka.clients=WARN
log4j.logger.state.change.logger=WARN
"""


@dataclass(frozen=True)
class KafkaServer(Server):
    """Kafka in a directory."""

    name: ClassVar[str] = "kafka"
    artifacts: ClassVar[Artifacts] = KAFKA
    stop_patience: ClassVar[float] = 20.0

    def command(self, java: Java, jars: Path) -> list[str]:
        """Write the configuration, format the data directory where it is new, give the command."""
        (controller_port,) = free_ports(1)
        config = self.conf / "server.properties"
        config.write_text(
            CONFIG.format(
                host=HOST,
                port=self.port,
                controller_port=controller_port,
                data=_escaped(self.data),
                max_bytes=MAX_RECORD_BYTES + 2**20,  # a record's headers and its batch come on top
            )
        )
        logging = self.conf / "log4j.properties"
        logging.write_text(LOGGING.format(log=_escaped(self.log)))
        base = [str(java.path), "-cp", f"{jars}/*", f"-Dlog4j.configuration={logging.as_uri()}"]
        if not (self.data / "meta.properties").exists():
            _format([*base, "kafka.tools.StorageTool", "format", "--config", str(config)])
        return [
            *base,
            *("-Xms512m", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:+ExitOnOutOfMemoryError"),
            *(
                "-Djava.awt.headless=true",
                f"-XX:ErrorFile={self.log.parent}/kafka-crash.log",
                "-XX:+PerfDisableSharedMem",
            ),
            *("kafka.Kafka", str(config)),
        ]

    def answers(self) -> bool:
        """Tell whether it lists itself as a broker."""
        return kafka_answers(HOST, self.port)


def _format(tool: list[str]) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # "=": an id may begin with "-"
    command = [*tool, f"--cluster-id={cluster}"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=FORMAT_TIMEOUT, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise UserError(f"Kafka's data directory was not formatted within {FORMAT_TIMEOUT:.0f} s") from None
    if run.returncode != 0:
        lines = (run.stderr or run.stdout).strip().splitlines() or ["no reason given"]
        raise UserError(f"Kafka's data directory could not be formatted: {lines[0]}")


def _escaped(path: Path) -> str:
    """A path as a value of a Java properties file."""
    return str(path).replace("\\", "\\\\")
