"""Kafka and Cassandra ask for passwords as `deploy/` sets them up: who has them works, who has not gets no word."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.clients.cassandra import session
from app.clients.kafka import admin
from app.errors import Unavailable
from app.local.server import HOST, free_ports
from app.local.stack import Stack
from app.logs import IN_THE_CLEAR
from app.settings import Settings
from tests import builders
from tests.support import deployed, events, rows
from tests.support.chain import chain
from tests.support.deployed import PASSWORD, DeployedCassandra, DeployedKafka
from tests.support.manifests import built
from tests.support.topics import Raw

pytestmark = pytest.mark.timeout(600)  # two servers start, and nobody else may use them

# What stands for cqlsh, which comes with Cassandra's image and not with its jars.
CQLSH = f"""#!{sys.executable}
import argparse
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster

parser = argparse.ArgumentParser()
for flag in ("-u", "-p", "-e"):
    parser.add_argument(flag, required=True)
for flag in ("--connect-timeout", "--request-timeout"):
    parser.add_argument(flag, type=float, required=True)
parser.add_argument("host")
parser.add_argument("port", type=int)
told = parser.parse_args()
user = PlainTextAuthProvider(told.u, told.p)
with Cluster([told.host], port=told.port, auth_provider=user, connect_timeout=told.connect_timeout) as cluster:
    cluster.connect().execute(told.e, timeout=told.request_timeout)
"""


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> list[deployed.Object]:
    return built("local", tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def settings(things: list[deployed.Object], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """As the manifests have them, but for the addresses; both servers run."""
    directory = tmp_path_factory.mktemp("servers")
    kafka, cassandra = free_ports(2)
    config = next(one["data"] for one in things if one["kind"] == "ConfigMap")
    given = {name.removeprefix("STARLING_").lower(): value for name, value in config.items()}
    addresses = {"kafka": f"{HOST}:{kafka}", "cassandra": f"{HOST}:{cassandra}"}
    passwords = {"kafka_password": PASSWORD, "cassandra_password": PASSWORD}
    own = {"provisioning": "off", "web_host": HOST}
    with deployed.running(
        DeployedKafka(directory, kafka, tuple(things)), DeployedCassandra(directory, cassandra, tuple(things))
    ):
        yield Settings.model_validate(given | addresses | passwords | own)


def make_user(things: list[deployed.Object], settings: Settings, place: Path) -> None:
    """What the manager's first init container does."""
    found = deployed.container(things, "manager", "cassandra-user")
    (script,) = found["args"]
    assert " cassandra 9042;" in script
    cqlsh = place / "cqlsh"
    cqlsh.write_text(CQLSH)
    cqlsh.chmod(cqlsh.stat().st_mode | stat.S_IXUSR)
    subprocess.run(
        [*found["command"], script.replace(" cassandra 9042;", " {} {};".format(*settings.cassandra.split(":")))],
        env={"PATH": f"{place}:{os.environ['PATH']}", "PASSWORD": PASSWORD},
        check=True,
        timeout=240,
    )


def test_posts_are_stored_by_who_has_the_passwords_and_nobody_else_comes_in(
    things: list[deployed.Object], settings: Settings, tmp_path: Path
) -> None:
    make_user(things, settings, tmp_path)
    make_user(things, settings, tmp_path)  # each manager does it at each start
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    with chain(Stack(tmp_path), "manager", "worker", **given) as running:
        events.accepted(running.settings, events.create("flood", keywords=("water",)))
        running.send(Raw(builders.line(builders.status("water"))))
        running.settle()
        assert len(rows.tweets(running.settings)) == 1
        for started in running.workers.values():
            assert [entry["event"] for entry in started.complaints()] == [IN_THE_CLEAR], "once, and nothing else"
    wrong = SecretStr("0" * 32)
    for changed in (
        {"cassandra_password": wrong},
        {"cassandra_username": None},
        {"cassandra_username": "cassandra", "cassandra_password": SecretStr("cassandra")},
    ):
        with pytest.raises(Unavailable, match="Cassandra"), session(settings.model_copy(update=changed)):
            pass
    for changed in ({"kafka_password": wrong}, {"kafka_security_protocol": "PLAINTEXT"}):
        with pytest.raises(Unavailable, match="Kafka"):
            asyncio.run(_topics(settings.model_copy(update=changed)))
    assert asyncio.run(_topics(settings)), "and with it one does"


async def _topics(settings: Settings) -> list[str]:
    async with admin(settings) as client:
        return list(await client.list_topics())
