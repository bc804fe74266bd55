"""Structured logs: JSON lines in production, readable on a terminal."""

from __future__ import annotations

import logging
import sys
from time import monotonic

import structlog
from stamina.instrumentation import LoggingOnRetryHook, PrometheusOnRetryHook, set_on_retry_hooks

from app.settings import Settings

# Their INFO is a line a rebalance step or a request; logging each record's way costs a third of the throughput.
_NOISY = ("aiokafka", "faust", "mode", "cassandra", "stamina", "asyncio")
SELDOM_SECONDS = 10.0
# aiokafka at each connection, where the settings ask for just that.
IN_THE_CLEAR = "Sending username and password in the clear"


class Seldom(logging.Filter):
    """Lets a message of the libraries through once in a while: an absent broker is 200 lines a second of aiokafka."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log the record."""
        if record.name.partition(".")[0] not in _NOISY:
            return True
        what = (record.name, str(record.msg)[:80])
        now = monotonic()
        if what in self._said and (record.msg == IN_THE_CLEAR or now - self._said[what] < SELDOM_SECONDS):
            return False
        self._said[what] = now
        return True


def configure(settings: Settings) -> None:
    """Send everything that this process logs to standard error in one format."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if as_json else structlog.processors.StackInfoRenderer(),
    ]
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    handler.addFilter(Seldom())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    # Else it finds structlog, and writes lines of its own form to standard output.
    set_on_retry_hooks([LoggingOnRetryHook, PrometheusOnRetryHook])
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("mode.timers").setLevel(logging.ERROR)  # one that comes late on a busy machine is no fault
