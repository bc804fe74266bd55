"""What the sections stand on: Kafka and Cassandra, started when the first asks for them, `nodetool`, and Spark."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from cassandra.cluster import Session
from pyspark.sql import SparkSession

from analysis.session import session as spark_session
from app.clients.cassandra import session
from app.local.artifacts import CASSANDRA, fetch
from app.local.cassandra import EXPORTS, JMX_VARIABLE, OPENS
from app.local.java import find_java
from app.local.server import HOST, free_ports
from app.local.stack import Stack
from app.settings import Settings
from benchmarks.broker import wait_for
from benchmarks.process import cpu_seconds
from benchmarks.servers import servers

COMPACTED_SECONDS = 1800


class Ground:
    """One for all sections; used as a context, at whose end all is gone that it has started."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._closing = ExitStack()

    def __enter__(self) -> Ground:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    @cached_property
    def stack(self) -> Stack:
        """The servers of STARLING_BENCH_STACK, else some of its own."""
        os.environ.setdefault(JMX_VARIABLE, str(free_ports(1)[0]))
        return self._closing.enter_context(servers())

    def settings(self, keyspace: str) -> Settings:
        """Starling's settings for a keyspace of a section's own."""
        return Settings.model_validate({**self.stack.addresses, "keyspace": keyspace})

    def cassandra_cpu(self) -> float:
        """Seconds of processor time that Cassandra has used so far."""
        return cpu_seconds(next(one.pid for one in self.stack.status() if one.name == "cassandra" and one.pid))

    def nodetool(self, *command: str) -> str:
        """What `nodetool` says, asked as on a real node."""
        java = find_java()
        jars = fetch(CASSANDRA, java, lambda _: None)
        port = os.environ[JMX_VARIABLE]
        silent = self.directory / "nodetool-logback.xml"
        silent.write_text("<configuration/>")
        asked = [str(java.path), "-Xmx128m", "-cp", f"{jars}/*", f"-Duser.home={self.directory}"]  # it keeps a history
        asked += [f"-Dlogback.configurationFile={silent}"]
        asked += [part for opened in OPENS for part in ("--add-opens", f"{opened}=ALL-UNNAMED")]
        asked += [part for export in EXPORTS for part in ("--add-exports", f"{export}=ALL-UNNAMED")]
        asked += ["org.apache.cassandra.tools.NodeTool", "-h", HOST, "-p", port, *command]
        told = subprocess.run(asked, capture_output=True, text=True, timeout=COMPACTED_SECONDS, check=False)
        if told.returncode:
            raise RuntimeError(f"nodetool {' '.join(command)}: {(told.stderr or told.stdout).strip()[-500:]}")
        return told.stdout

    def wait_long(self) -> None:
        """Let Cassandra give up nothing for two minutes: what is slow is to be measured, also on a busy machine."""
        for kind in ("read", "range", "write"):
            self.nodetool("settimeout", kind, "120000")

    def settle(self, keyspace: str, *tables: str) -> None:
        """Have all rows of the tables in files, one a table, as they are some time after the last was written."""
        self.nodetool("flush", keyspace, *tables)
        self.nodetool("compact", keyspace, *tables)
        with session(self.settings(keyspace)) as cassandra:
            wait_for("compaction", lambda: not _tasks(cassandra), COMPACTED_SECONDS, 1)

    @contextmanager
    def spark(
        self, settings: Settings, config: Mapping[str, str] | None = None, master: str | None = None
    ) -> Iterator[SparkSession]:
        """A session of Spark; its Java stays for the next one, with the memory and the options of Java of the first."""
        options = {"spark.ui.showConsoleProgress": "false", **(config or {})}
        made = spark_session(master, config=options, settings=settings)
        try:
            yield made
        finally:
            made.stop()

    @staticmethod
    def spark_pid(spark: SparkSession) -> int:
        """Number of the process that is Spark's driver, and with `local[…]` its executor too."""
        jvm = spark.sparkContext._jvm
        assert jvm is not None  # noqa: S101 -- as long as the session lives
        return int(jvm.java.lang.ProcessHandle.current().pid())

    def drop(self, keyspace: str) -> None:
        """Remove what a section has stored, and its files."""
        with session(self.settings(keyspace)) as cassandra:
            cassandra.execute(f"DROP KEYSPACE IF EXISTS {keyspace}", timeout=120)


def _tasks(cassandra: Session) -> int:
    """Compactions, flushes and builds of an index that are under way."""
    found: int = cassandra.execute("SELECT count(*) FROM system_views.sstable_tasks").one()[0]
    return found
