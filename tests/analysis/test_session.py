"""A session says what does not fit, in one line."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import msgspec
import pytest
import trustme
from pyspark.sql import SparkSession

from analysis import trust
from analysis.session import await_executor, reason, session, uninterrupted, versions
from analysis.versions import connector_of, misfits
from app.errors import Unavailable, UserError
from app.local.java import find_java
from app.local.server import free_ports
from app.settings import Settings


def test_what_runs_here_fits(spark: SparkSession) -> None:
    assert misfits(versions(spark)) == []


def test_all_that_does_not_fit_is_told(spark: SparkSession) -> None:
    other = msgspec.structs.replace(versions(spark), spark="3.50.1", connector="", java="21")
    assert misfits(other) == [
        "Spark must be 3.5, is 3.50.1",
        "Java must be 17, is 21",
        "the Cassandra connector must be 3.5, is missing",
    ]


def test_the_connector_is_known_by_its_jar() -> None:
    jars = "/a/slf4j-api-1.7.26.jar,/a/spark-cassandra-connector-driver_2.12-3.5.1.jar"
    assert connector_of(f"{jars},/a/spark-cassandra-connector_2.13-3.4.0.jar") == ("3.4.0", "2.13")
    assert connector_of(jars) == ("", "")


def test_a_session_that_was_begun_otherwise_is_refused(
    spark: SparkSession, stored: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session("local[2]", settings=stored) is not None
    monkeypatch.setattr("analysis.session.connector_of", lambda _: ("3.4.0", "2.12"))
    with pytest.raises(UserError, match=r"does not fit: the Cassandra connector must be 3\.5, is 3\.4\.0"):
        session("local[2]", settings=stored)


def test_a_cassandra_that_is_away_is_told_before_spark_starts(stored: Settings) -> None:
    (port,) = free_ports(1)
    away = stored.model_copy(update={"cassandra": f"127.0.0.1:{port}"})
    with pytest.raises(Unavailable, match=f"Cassandra is not reachable at 127.0.0.1:{port}"):
        session("local[2]", settings=away)


def test_a_spark_that_is_nowhere_is_told_before_anything_starts(stored: Settings) -> None:
    (port,) = free_ports(1)
    with pytest.raises(Unavailable, match=f"Spark is not reachable at spark://127.0.0.1:{port}"):
        session(f"spark://127.0.0.1:{port}", settings=stored)
    for master in ("yarn", "local[2", "spark://", "127.0.0.1:7077"):
        with pytest.raises(UserError, match=r"Spark works at local, local\[N\] or spark://host:port, not at "):
            session(master, settings=stored)


def test_a_cluster_in_which_nobody_works_is_told(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark waits for ever. The local one has no worker either."""
    monkeypatch.setattr("analysis.session._EXECUTOR_SECONDS", 0.5)
    with pytest.raises(Unavailable, match="no worker of Spark at spark://here:7077 took this on within"):
        await_executor(spark, "spark://here:7077")


def test_what_java_fails_by_is_one_line() -> None:
    stopped = "An error occurred while calling o51.conf.\n: java.lang.IllegalStateException: stopped.\n\tat org.x"
    assert reason(RuntimeError(stopped)) == "java.lang.IllegalStateException: stopped."
    assert reason(RuntimeError(f"{stopped}\nCaused by: one\n\tat y\nCaused by: two\n\tat z")) == "two"
    assert reason(RuntimeError("[GONE] Java is gone.")) == "[GONE] Java is gone."
    assert reason(RuntimeError()) == "RuntimeError"


def test_java_finds_cassandras_authorities_in_the_trust_store_that_is_made_of_them(
    stored: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARLING_STATE_DIR", str(tmp_path))
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(b"".join(trustme.CA().cert_pem.bytes() for _ in range(2)))
    encrypted = stored.model_copy(update={"cassandra_ca_file": bundle})
    given = {name.rpartition("ssl.")[2]: value for name, value in trust.options("local[2]", encrypted).items()}
    keytool = find_java().path.with_name("keytool")
    command = [keytool, "-list", "-keystore", given["trustStore.path"], "-storepass", ""]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert listed.count("trustedCertEntry") == 2
    with pytest.raises(UserError, match="STARLING_SPARK_TRUST_STORE"):
        trust.options("spark://elsewhere:7077", encrypted)
    for store, said in ((tmp_path / "none", "cannot be read"), (bundle, "is no PKCS#12")):
        with pytest.raises(UserError, match=rf"^STARLING_SPARK_TRUST_STORE: {store} {said}"):
            trust.options("local[2]", encrypted.model_copy(update={"spark_trust_store": store}))
    bundle.write_text("nothing")
    with pytest.raises(UserError, match="holds no certificate"):
        trust.options("local[2]", encrypted)
    assert trust.options("local[2]", stored) == {}


def test_a_ctrl_c_waits_while_java_starts() -> None:
    """Broken off there, pyspark left a Java behind that kept the terminal."""
    before, done = signal.getsignal(signal.SIGINT), False
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done = True
    assert done
    assert signal.getsignal(signal.SIGINT) is before
