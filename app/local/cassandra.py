"""Cassandra as one node, sized for a laptop."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from xml.sax.saxutils import escape

from app.errors import UserError
from app.local.artifacts import CASSANDRA, Artifacts
from app.local.java import Java
from app.local.probe import cassandra_answers
from app.local.server import HOST, Server, free_ports, refuse_taken

# For nodetool (tablehistograms and the like), on loopback only: a port number.
JMX_VARIABLE = "STARLING_CASSANDRA_JMX_PORT"

# What Cassandra's own start script opens of Java 17.
EXPORTS = (
    *("java.base/jdk.internal.misc", "java.base/java.lang.ref", "java.sql/java.sql", "jdk.unsupported/sun.misc"),
    *("java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server"),
    "jdk.attach/sun.tools.attach",
)
OPENS = (
    *("java.base/java.io", "java.base/java.lang", "java.base/java.lang.module", "java.base/java.lang.reflect"),
    *("java.base/java.util", "java.base/sun.nio.ch", "java.base/jdk.internal.loader", "java.base/jdk.internal.ref"),
    *("java.base/jdk.internal.reflect", "java.base/jdk.internal.math", "java.base/jdk.internal.module"),
    *("java.base/jdk.internal.util.jar", "jdk.management/com.sun.management.internal"),
)

LOGGING = """\
<configuration>
  <appender name="FILE" class="ch.qos.logback.core.rolling.RollingFileAppender">
    <file>{log}</file>
    <rollingPolicy class="ch.qos.logback.core.rolling.FixedWindowRollingPolicy">
      <fileNamePattern>{log}.%i</fileNamePattern>
      <minIndex>1</minIndex>
      <maxIndex>2</maxIndex>
    </rollingPolicy>
    <triggeringPolicy class="ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy">
      <maxFileSize>10MB</maxFileSize>
    </triggeringPolicy>
    <encoder><pattern>%date{{ISO8601}} %level %msg \\(%logger{{0}}\\)%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="FILE"/></root>
</configuration>
"""


@dataclass(frozen=True)
class CassandraServer(Server):
    """Cassandra in a directory."""

    name: ClassVar[str] = "cassandra"
    artifacts: ClassVar[Artifacts] = CASSANDRA
    stop_patience: ClassVar[float] = 30.0  # it drains

    def command(self, java: Java, jars: Path) -> list[str]:
        """Write the configuration; give the command."""
        (storage_port,) = free_ports(1)
        config = self.conf / "cassandra.yaml"
        config.write_text(json.dumps(self._config(storage_port), indent=2))  # JSON is YAML
        logging = self.conf / "logback.xml"
        logging.write_text(LOGGING.format(log=escape(str(self.log))))
        agents = sorted(jars.glob("jamm-*.jar"))
        return [
            *(str(java.path), "-cp", f"{jars}/*"),
            *(f"-javaagent:{agent}" for agent in agents),  # it measures memtables
            *(
                "-Xms1g",
                "-Xmx1g",
                "-Xss512k",
                "-XX:+UseG1GC",
                "-XX:MaxGCPauseMillis=300",
                "-XX:+ExitOnOutOfMemoryError",
            ),
            *(f"-XX:ErrorFile={self.log.parent}/cassandra-crash.log", "-XX:+PerfDisableSharedMem"),
            *(part for export in EXPORTS for part in ("--add-exports", f"{export}=ALL-UNNAMED")),
            *(part for opened in OPENS for part in ("--add-opens", f"{opened}=ALL-UNNAMED")),
            *("-Djdk.attach.allowAttachSelf=true", "-Djava.net.preferIPv4Stack=true", "-Djava.awt.headless=true"),
            *("-Dio.netty.tryReflectionSetAccessible=true", "-Dio.netty.allocator.useCacheForAllThreads=true"),
            # A single node has nobody to wait for.
            *("-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.ring_delay_ms=0"),
            "-Dcassandra.superuser_setup_delay_ms=0",
            "-Dcassandra.shutdown_announce_in_ms=0",
            *(f"-Dcassandra.config={config.as_uri()}", f"-Dlogback.configurationFile={logging.as_uri()}"),
            *(f"-Dcassandra.storagedir={self.data}", f"-Dcassandra.logdir={self.log.parent}"),
            *("-Dcassandra-foreground=yes", *_jmx_options(), "org.apache.cassandra.service.CassandraDaemon"),
        ]

    def answers(self) -> bool:
        """Tell whether it answers a query."""
        return cassandra_answers(HOST, self.port)

    def _config(self, storage_port: int) -> dict[str, Any]:
        return {
            "cluster_name": "starling",
            "num_tokens": 1,
            "auto_bootstrap": False,
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "SimpleSnitch",
            "dynamic_snitch": False,
            "seed_provider": [
                {
                    "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                    "parameters": [{"seeds": f"{HOST}:{storage_port}"}],
                }
            ],
            "listen_address": HOST,
            "rpc_address": HOST,
            "storage_port": storage_port,
            "native_transport_port": self.port,
            "authenticator": "AllowAllAuthenticator",  # nobody but this machine reaches it
            "authorizer": "AllowAllAuthorizer",
            "data_file_directories": [str(self.data / "data")],
            "commitlog_directory": str(self.data / "commitlog"),
            "hints_directory": str(self.data / "hints"),
            "saved_caches_directory": str(self.data / "saved_caches"),
            "cdc_raw_directory": str(self.data / "cdc_raw"),
            "commitlog_sync": "periodic",
            "commitlog_sync_period": "10000ms",
            "commitlog_segment_size": "32MiB",
            "commitlog_total_space": "512MiB",
            "hinted_handoff_enabled": False,
            # A dropped table's files go at once; a test drops many.
            "auto_snapshot": False,
            "snapshot_before_compaction": False,
            # Of 1 GB heap a quarter; the rest is for compaction and requests.
            "memtable_heap_space": "256MiB",
            "memtable_offheap_space": "256MiB",
            "memtable_allocation_type": "offheap_objects",
            # What a compaction gathers of an index before it writes it; by default 1 GiB, more than there is: it ended
            # Cassandra once an event had 800,000 posts.
            "sai_options": {"segment_write_buffer_size": "64MiB"},
            "key_cache_size": "32MiB",
            "file_cache_size": "128MiB",
            "concurrent_reads": 16,
            "concurrent_writes": 32,
            "concurrent_compactors": 1,
            "compaction_throughput": "64MiB/s",
            # Posts of one partition are written together, up to a record of them (8 MiB).
            "batch_size_warn_threshold": "1MiB",
            "batch_size_fail_threshold": "10MiB",
        }


def _jmx_options() -> list[str]:
    told = os.environ.get(JMX_VARIABLE)
    if not told:
        return []
    if not told.isdecimal() or not 0 < int(told) < 2**16:
        raise UserError(f"{JMX_VARIABLE}={told!r} is not a port number")
    refuse_taken("Cassandra's JMX", int(told))
    return [f"-Dcassandra.jmx.local.port={told}", "-Dcom.sun.management.jmxremote.authenticate=false"]
