"""Kafka and Cassandra as containers, where a Docker engine answers and is asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from app.errors import UserError
from app.topics import MAX_RECORD_BYTES

LABEL = "starling.stack"
LOOPBACK = "127.0.0.1"
ENGINE_TIMEOUT = 10
START_TIMEOUT = 180
KAFKA_IMAGE = "confluentinc/cp-kafka:7.9.1"  # Kafka 3.9
CASSANDRA_IMAGE = "cassandra:5.0.9"
# As in app.local.kafka and app.local.cassandra.
KAFKA_SETTINGS = {
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_MESSAGE_MAX_BYTES": str(MAX_RECORD_BYTES + 2**20),
    "KAFKA_REPLICA_FETCH_MAX_BYTES": str(MAX_RECORD_BYTES + 2**20),
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
}
# The image's entry point has no variable for a batch's size, so its file is changed before the start.
CASSANDRA_COMMAND = (
    "sed -i -e 's/^batch_size_warn_threshold:.*/batch_size_warn_threshold: 1MiB/'"
    " -e 's/^batch_size_fail_threshold:.*/batch_size_fail_threshold: 10MiB/' /etc/cassandra/cassandra.yaml"
    " && exec docker-entrypoint.sh cassandra -f"
)


def start(name: str, directory: Path) -> tuple[str, str]:
    """Start a server's container; give its id and address. Raises UserError with one line."""
    client = _client()
    # Testcontainers' reaper would end the containers with this command; `starling down` does it.
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    # It guesses a bridge's address where it takes this machine for a container.
    os.environ["TESTCONTAINERS_CONNECTION_MODE"] = "docker_host"
    mark = f"{directory}:{name}"
    container, port = _kafka() if name == "kafka" else _cassandra()
    if not os.environ.get("DOCKER_HOST", "").startswith(("tcp:", "ssh:")):
        container.ports[str(port)] = (LOOPBACK, None)  # Docker would open it to the network
    try:
        container.with_kwargs(labels={LABEL: mark}, **container._kwargs)
        container.start(timeout=START_TIMEOUT) if name == "kafka" else container.start()
        host = container.get_container_host_ip().replace("localhost", LOOPBACK)
        return str(container.get_wrapped_container().id), f"{host}:{container.get_exposed_port(port)}"
    except Exception as error:  # of the engine, the image registry, requests, or a time-out
        for left in client.containers.list(all=True, filters={"label": f"{LABEL}={mark}"}):
            left.remove(force=True, v=True)
        raise UserError(f"no container for {name}: {str(error).strip().splitlines()[0][:300]}") from error


def runs(container: str) -> bool:
    """Tell whether this container runs."""
    from docker.errors import DockerException  # noqa: PLC0415 - seldom needed, and of the extra 'local'

    try:
        return bool(_client().containers.get(container).status == "running")
    except (DockerException, UserError):
        return False


def remove(container: str) -> None:
    """Remove this container with its data; nothing happens where it is gone."""
    from docker.errors import DockerException, NotFound  # noqa: PLC0415

    try:
        _client().containers.get(container).remove(force=True, v=True)
    except NotFound:
        return
    except DockerException as error:
        raise UserError(f"container {container[:12]} could not be removed: {error}") from error


def _client() -> Any:
    try:
        import docker  # noqa: PLC0415
        from docker.errors import DockerException  # noqa: PLC0415
    except ImportError:
        raise UserError("testcontainers is not installed; install the extra 'local'") from None
    try:
        client = docker.from_env(timeout=ENGINE_TIMEOUT)
        client.ping()
    except DockerException:
        where = os.environ.get("DOCKER_HOST", "its usual socket")
        raise UserError(f"no Docker engine answers at {where}; start one, or leave out --docker") from None
    return client


def _kafka() -> tuple[Any, int]:
    from testcontainers.community.kafka import KafkaContainer  # noqa: PLC0415

    container = KafkaContainer(KAFKA_IMAGE).with_kraft()
    for key, value in KAFKA_SETTINGS.items():
        container.with_env(key, value)
    return container, container.port


def _cassandra() -> tuple[Any, int]:
    from testcontainers.community.cassandra import CassandraContainer  # noqa: PLC0415

    container = CassandraContainer(CASSANDRA_IMAGE).with_kwargs(entrypoint=["bash", "-c", CASSANDRA_COMMAND])
    return container, container.CQL_PORT
