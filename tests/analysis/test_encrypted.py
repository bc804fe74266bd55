"""Spark reads a Cassandra that speaks by TLS alone, set up as the component `tls` does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from analysis import trust
from app import schema
from app.clients.cassandra import session
from app.domain.rows import Row
from app.errors import Unavailable
from app.local.server import HOST, free_ports
from app.settings import Settings
from tests.support import analysed, commands, deployed
from tests.support.manifests import built
from tests.support.place import environment
from tests.support.quick import quickly_started
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(600)  # a Cassandra starts, and a Spark


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory, made: list[Row]) -> Iterator[Settings]:
    """A node of its own, whose key is on a curve, as cert-manager makes it; the posts are in it."""
    things = tuple(built("local", tmp_path_factory.mktemp("built"), "tls"))
    keys = deployed.make_keys(tmp_path_factory.mktemp("keys"), "ec -pkeyopt ec_paramgen_curve:prime256v1")
    (port,) = free_ports(1)
    maps = (one["data"] for one in things if one["kind"] == "ConfigMap")
    config = next(one for one in maps if "STARLING_CASSANDRA" in one)
    settings = Settings(
        cassandra=f"{HOST}:{port}",
        cassandra_ca_file=Path(config["STARLING_CASSANDRA_CA_FILE"].replace(deployed.KEYS, str(keys))),
        cassandra_tls_name=config["STARLING_CASSANDRA_TLS_NAME"],
        cassandra_username="cassandra",  # whom a new one knows
        cassandra_password=SecretStr("cassandra"),
    )
    server = deployed.DeployedCassandra(tmp_path_factory.mktemp("cassandra"), port, things, keys)
    with ExitStack() as held:
        with quickly_started():
            held.enter_context(deployed.running(server))
        until(lambda: _lets_in(settings), "it knows its user", seconds=240)
        with session(settings) as cassandra:
            for statement in schema.statements(settings):
                cassandra.execute(statement, timeout=60)
        analysed.write(settings, made)
        yield settings


def _lets_in(settings: Settings) -> bool:
    try:
        with session(settings):
            return True
    except Unavailable:
        return False


# A process of its own: the Spark of the other tests is another one, and there is one a process.
READ = """
from analysis.posts import posts
from analysis.session import session
from tests.analysis.conftest import SMALL

spark = session("local[2]", config=SMALL)
print(*sorted(row.t_id for row in posts(spark, "flood", columns=["t_id"]).collect()))
spark.stop()
"""


def test_posts_are_read_from_a_cassandra_that_speaks_by_tls_alone(
    encrypted: Settings, made: list[Row], tmp_path: Path
) -> None:
    given = os.environ | environment(encrypted) | {"STARLING_STATE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", READ]
    done = subprocess.run(command, env=given, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == sorted(row["t_id"] for row in analysed.of(made, "flood"))
    with pytest.raises(Unavailable), session(encrypted.model_copy(update={"cassandra_ca_file": None})):
        pass  # in the clear it has no word with anybody


def test_what_does_not_fit_is_told_in_one_line(encrypted: Settings, tmp_path: Path) -> None:
    other, store = tmp_path / "other.pem", tmp_path / "other.p12"
    trustme.CA().cert_pem.write_to_path(other)
    trust.made(other, store)
    away = f"Cassandra is not reachable at {encrypted.cassandra} (TLS failed: "
    for changed, said in (
        ({"cassandra_ca_file": other}, f"{away}unable to get local issuer certificate)"),
        ({"cassandra_tls_name": "other"}, f"{away}Hostname mismatch, certificate is not valid for 'other')"),
        ({"spark_trust_store": store}, f"{store} holds no authority of {encrypted.cassandra_ca_file}"),
    ):
        wrong = encrypted.model_copy(update=changed)
        refused = commands.finish(commands.start(wrong, tmp_path, "analyze", "languages", "flood"), seconds=240)
        assert said in refused.error
