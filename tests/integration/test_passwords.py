"""Kafka and Cassandra ask for passwords as `deploy/` sets them up: who has them works, who has not gets no word.

The same with the component `tls`, by certificates that the guide's own commands make.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from app.clients.cassandra import session
from app.clients.kafka import admin
from app.clients.reaching import unanswered
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


@pytest.fixture(scope="module", params=[(), ("tls",)], ids=["in the clear", "encrypted"])
def things(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[deployed.Object]:
    return built("local", tmp_path_factory.mktemp("built"), *request.param)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return deployed.make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def settings(things: list[deployed.Object], keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """As the manifests have them, but for the addresses; both servers run."""
    directory = tmp_path_factory.mktemp("servers")
    kafka, cassandra = free_ports(2)
    maps = (one["data"] for one in things if one["kind"] == "ConfigMap")
    config = next(one for one in maps if "STARLING_KAFKA" in one)
    given = {
        name.removeprefix("STARLING_").lower(): value.replace(deployed.KEYS, str(keys))
        for name, value in config.items()
    }
    addresses = {"kafka": f"{deployed.NAME}:{kafka}", "cassandra": f"{HOST}:{cassandra}"}
    passwords = {"kafka_password": PASSWORD, "cassandra_password": PASSWORD}
    own = {"provisioning": "off", "web_host": HOST}
    with deployed.running(
        DeployedKafka(directory, kafka, tuple(things), keys),
        DeployedCassandra(directory, cassandra, tuple(things), keys),
    ):
        yield Settings.model_validate(given | addresses | passwords | own)


def make_user(things: list[deployed.Object], settings: Settings, keys: Path, place: Path) -> None:
    """What the manager's first init container does."""
    found = deployed.container(things, "manager", "cassandra-user")
    (script,) = found["args"]
    assert script.count(" cassandra 9042\n") == 1
    commands = Path(sys.executable).parent  # cqlsh is one of them
    own = {"HOME": str(place), "TMPDIR": str(place), "PASSWORD": PASSWORD, "PATH": f"{commands}:{os.environ['PATH']}"}
    subprocess.run(
        [*found["command"], script.replace(" cassandra 9042\n", " {} {}\n".format(*settings.cassandra.split(":")))],
        env=deployed.told(found, keys) | own,
        check=True,
        timeout=240,
    )
    assert not [path for path in place.rglob("*") if path.is_file() and PASSWORD in path.read_text()]


def test_posts_are_stored_by_who_has_the_passwords_and_nobody_else_comes_in(
    things: list[deployed.Object], settings: Settings, keys: Path, tmp_path: Path
) -> None:
    encrypted = settings.cassandra_ca_file is not None
    make_user(things, settings, keys, tmp_path)
    if not encrypted:
        make_user(things, settings, keys, tmp_path)  # each manager does it at each start
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    with chain(Stack(tmp_path), "manager", "worker", **given) as running:
        events.accepted(running.settings, events.create("flood", keywords=("water",)))
        running.send(Raw(builders.line(builders.status("water"))))
        running.settle()
        assert len(rows.tweets(running.settings)) == 1
        for started in running.workers.values():
            told = [entry["event"] for entry in started.complaints()]
            assert told == ([] if encrypted else [IN_THE_CLEAR]), "once, and nothing else"
    wrong = SecretStr("0" * 32)
    to_cassandra: list[dict[str, object]] = [
        {"cassandra_password": wrong},
        {"cassandra_username": None},
        {"cassandra_username": "cassandra", "cassandra_password": SecretStr("cassandra")},
    ]
    to_kafka: list[dict[str, object]] = [{"kafka_password": wrong}, {"kafka_security_protocol": "PLAINTEXT"}]
    if encrypted:
        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(other)
        to_cassandra = [{"cassandra_ca_file": None}, {"cassandra_ca_file": other}, {"cassandra_tls_name": ""}]
        to_kafka = [{"kafka_security_protocol": "SASL_PLAINTEXT"}, {"kafka_ca_file": other}]
        assert asyncio.run(unanswered(settings.model_copy(update={"cassandra_ca_file": other}))) is not None
    assert asyncio.run(unanswered(settings)) is None
    for changed in to_cassandra:
        with pytest.raises(Unavailable, match="Cassandra"), session(settings.model_copy(update=changed)):
            pass
    for changed in to_kafka:
        with pytest.raises(Unavailable, match="Kafka"):
            asyncio.run(_topics(settings.model_copy(update=changed)))
    assert asyncio.run(_topics(settings)), "and with it one does"


async def _topics(settings: Settings) -> list[str]:
    async with admin(settings) as client:
        return list(await client.list_topics())
