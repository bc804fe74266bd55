"""A session says what does not fit, in one line."""

from __future__ import annotations

import signal
from pathlib import Path

import msgspec
import pytest
from pyspark.sql import SparkSession

from analysis.session import session, uninterrupted, versions
from analysis.versions import connector_of, misfits
from app.errors import Unavailable, UserError
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


def test_a_trust_store_is_asked_for_where_cassandra_has_tls(stored: Settings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ssl\.trustStore\.path"):
        session("local[2]", settings=stored.model_copy(update={"cassandra_ca_file": tmp_path}))


def test_a_ctrl_c_waits_while_java_starts() -> None:
    """Broken off there, pyspark left a Java behind that kept the terminal."""
    before, done = signal.getsignal(signal.SIGINT), False
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done = True
    assert done
    assert signal.getsignal(signal.SIGINT) is before
