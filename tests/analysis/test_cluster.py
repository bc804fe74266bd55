"""The same analyses on a cluster: a master and a worker of Spark, as `components/analysis` starts them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyspark
import pytest

from app.domain.rows import Row
from app.local.java import find_java
from app.local.server import free_ports, is_free
from app.settings import Settings
from benchmarks.full.eventlog import placed_in
from tests.support import commands
from tests.support.analysed import of
from tests.support.waiting import until

SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"


@contextmanager
def daemon(directory: Path, role: str, port: int, *args: str) -> Iterator[None]:
    """A process of a cluster, once it listens."""
    own = {"SPARK_NO_DAEMONIZE": "1", "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m"}
    java = str(find_java().path.resolve().parent.parent)
    command = [str(SPARK_CLASS), f"org.apache.spark.deploy.{role.lower()}.{role}"]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), *args],
        env=os.environ | own | {"JAVA_HOME": java},
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: not is_free(port), f"the {role} listens")
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Its address."""
    master, worker, *pages = free_ports(4)
    url = f"spark://127.0.0.1:{master}"
    (tmp_path / "events").mkdir()
    options = {
        "spark.executor.memory": "512m",
        "spark.sql.shuffle.partitions": 2,
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": (tmp_path / "events").as_uri(),
    }
    (tmp_path / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    with ExitStack() as opened:
        opened.enter_context(daemon(tmp_path, "Master", master, "--webui-port", str(pages[0])))
        work = "--webui-port", str(pages[1]), "--cores", "1", "--memory", "512m", "--work-dir", str(tmp_path / "work")
        opened.enter_context(daemon(tmp_path, "Worker", worker, *work, url))
        yield url


@pytest.mark.timeout(300)  # it starts a Spark of four processes
def test_a_cluster_finds_what_is_stored_at_its_node(
    stored: Settings, made: list[Row], cluster: str, tmp_path: Path
) -> None:
    asked = commands.start(stored, tmp_path, "analyze", "keyword-yield", "storm", "--master", cluster, "--json")
    ran = commands.finish(asked, seconds=240)
    assert (ran.err, ran.status) == ("", 0)
    due = {word: sum(word in row["matched"] for row in of(made, "storm")) for word in ("storm", "flood")}
    assert {one["keyword"]: one["posts"] for one in json.loads(ran.out)} == due
    logs = [path.read_text() for path in (tmp_path / "work").glob("app-*/*/stderr")]
    assert any("Finished task" in log for log in logs), "the worker has done it"
    assert set(placed_in(tmp_path / "events").reading) == {"NODE_LOCAL"}
