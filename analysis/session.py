"""A Spark session that reaches Cassandra: Java found, connector fetched, catalog named, versions looked at.

With `spark.sql` the tables are `cassandra.KEYSPACE.TABLE`, such as `cassandra.twitter_analytics.tweet`.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, current_thread, main_thread

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from analysis import trust
from analysis.versions import Versions, connector_of, misfits
from app.clients.cassandra import session as cassandra_session
from app.errors import Unavailable, UserError
from app.local.artifacts import CONNECTOR, Report, fetch
from app.local.java import find_java
from app.settings import SPARK_MASTER, Settings
from app.settings import settings as current_settings

CATALOG = "cassandra"
_KEYSPACE = "spark.starling.keyspace"
_JAVA_OPTIONS = "spark.driver.extraJavaOptions"
_REACH_SECONDS = 5.0
_SHUFFLES = 8  # parts for a core
_EXECUTOR_SECONDS = 120.0  # in which a cluster must give what works
_LOGGING = Path(__file__).parent / "log4j2.properties"


def session(
    master: str | None = None,
    *,
    config: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    report: Report = lambda _: None,
) -> SparkSession:
    """The session of this process: on `master`, else where the settings say: here (`local[*]`), or
    on a cluster whose nodes reach Cassandra too.

    `config` holds options of Spark's, over those that are set here; they count for the first session of a process.
    Raises UserError where versions do not fit or Spark does not start, Unavailable where Cassandra is not reachable, or
    no cluster that has room.
    """
    chosen = settings or current_settings()
    master = master or chosen.spark_master
    check_master(master)
    given = dict(config or {})
    if "spark.cassandra.connection.ssl.enabled" not in given:
        given = trust.options(master, chosen) | given
    with cassandra_session(chosen):  # one line now, instead of a stack from Java later
        pass
    java = find_java()
    jars = fetch(CONNECTOR, java, report)
    # Java's own options are added to, not replaced.
    own = " ".join(filter(None, (f'"-Dlog4j2.configurationFile={_LOGGING.as_uri()}"', given.get(_JAVA_OPTIONS))))
    options = _options(master, chosen, jars) | given | {_JAVA_OPTIONS: own}
    builder = SparkSession.builder.master(master).appName("starling")
    for name, value in options.items():
        builder = builder.config(name, value)
    try:
        with _java_home(java.path), uninterrupted():
            spark = builder.getOrCreate()
    except (PySparkException, Py4JError) as failed:
        raise UserError(f"Spark does not start: {reason(failed)}") from None
    if chosen.cassandra_username:
        # Not with the others, which are on the command line of Java, where all users of the machine see them.
        spark.conf.set("spark.cassandra.auth.username", chosen.cassandra_username)
        secret = chosen.cassandra_password.get_secret_value() if chosen.cassandra_password else ""
        spark.conf.set("spark.cassandra.auth.password", secret)
    if wrong := misfits(versions(spark)):
        raise UserError(f"this Spark does not fit: {'; '.join(wrong)}")
    if not master.startswith("local"):
        await_executor(spark, master)
    return spark


def check_master(master: str) -> None:
    """Raise UserError where it is no address of Spark's, Unavailable where nobody listens: Spark waits a minute."""
    if not re.fullmatch(SPARK_MASTER, master):
        raise UserError(f"Spark works at local, local[N] or spark://host:port, not at {master!r}")
    if master.startswith("local"):
        return
    for place in master.removeprefix("spark://").split(","):
        host, _, port = place.rpartition(":")
        with suppress(OSError, ValueError, OverflowError):
            socket.create_connection((host.strip("[]"), int(port)), _REACH_SECONDS).close()
            return
    raise Unavailable(f"Spark is not reachable at {master}")


def await_executor(spark: SparkSession, master: str) -> None:
    """Return once a worker has given it a process. Where none does, Spark itself waits for ever and says nothing."""
    known = spark.sparkContext._jsc.sc().getExecutorMemoryStatus
    end = time.monotonic() + _EXECUTOR_SECONDS
    while known().size() < 2:  # the driver is one
        if time.monotonic() > end:
            raise Unavailable(
                f"no worker of Spark at {master} took this on within {_EXECUTOR_SECONDS:.0f} s: there is none, or "
                "others have all of them in use"
            )
        time.sleep(0.2)


def reason(failed: Exception) -> str:
    """The line of a stack from Java that says most: the cause behind the other causes, else the first that says any."""
    lines = str(failed).splitlines() or [type(failed).__name__]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    if not causes and lines[0].startswith("An error occurred while calling "):
        lines = [line.removeprefix(": ") for line in lines[1:]] or lines
    return causes[-1] if causes else lines[0]


def keyspace(spark: SparkSession) -> str:
    """Where the session's posts are."""
    return spark.conf.get(_KEYSPACE) or ""


def versions(spark: SparkSession) -> Versions:
    """What is at work in the driver."""
    jvm = spark.sparkContext._jvm
    assert jvm is not None  # noqa: S101 -- as long as the session lives
    connector, its_scala = connector_of(spark.sparkContext.getConf().get("spark.jars", "") or "")
    return Versions(
        spark=spark.version,
        scala=jvm.scala.util.Properties.versionNumberString(),
        java=jvm.java.lang.System.getProperty("java.specification.version"),
        connector=connector,
        connector_scala=its_scala,
    )


def _options(master: str, chosen: Settings, jars: Path) -> dict[str, str]:
    hosts, port = chosen.cassandra_points
    options = {
        "spark.jars": ",".join(str(jar) for jar in sorted(jars.glob("*.jar"))),
        "spark.sql.extensions": "com.datastax.spark.connector.CassandraSparkExtensions",
        f"spark.sql.catalog.{CATALOG}": "com.datastax.spark.connector.datasource.CassandraCatalog",
        "spark.cassandra.connection.host": ",".join(hosts),
        "spark.cassandra.connection.port": str(port),
        "spark.cassandra.connection.localDC": chosen.cassandra_datacenter,
        # A row may not be everywhere yet, and none may be missing.
        "spark.cassandra.input.consistency.level": "LOCAL_QUORUM",
        # Each holds a page of 1,000 posts of 1 to 3 kB; by default 512 at once in every task.
        "spark.cassandra.concurrent.reads": "8",
        "spark.sql.session.timeZone": "UTC",
        # It listens on all interfaces and asks nobody who they are.
        "spark.ui.enabled": "false",
        _KEYSPACE: chosen.keyspace,
    }
    if master.startswith("local"):
        options |= {
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": "2g",
            # Its 200 cost half a second each time on two cores, whatever there is to shuffle.
            "spark.sql.shuffle.partitions": str(_SHUFFLES * (os.cpu_count() or 1)),
            "spark.pyspark.python": sys.executable,
        }
    return options


@contextmanager
def _java_home(java: Path) -> Iterator[None]:
    """Spark's scripts ask JAVA_HOME first; what they start adds the options that Java 17 needs by itself."""
    before = os.environ.get("JAVA_HOME")
    os.environ["JAVA_HOME"] = str(java.resolve().parent.parent)
    try:
        yield
    finally:
        if before is None:
            del os.environ["JAVA_HOME"]
        else:
            os.environ["JAVA_HOME"] = before


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a Ctrl-C wait: broken off while it starts Java, pyspark leaves one behind that never ends."""
    if current_thread() is not main_thread():
        yield
        return
    came = Event()
    before = signal.getsignal(signal.SIGINT)

    def wait(_number: int, _frame: object) -> None:
        came.set()

    signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is wait:  # else pyspark, which runs now, has put its own there
            signal.signal(signal.SIGINT, before)
    if came.is_set():
        raise KeyboardInterrupt
