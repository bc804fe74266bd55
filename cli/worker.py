"""`starling worker`: a process of one role."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading

import click
from faust import Worker
from stamina.instrumentation import set_on_retry_hooks

from app.errors import NOT_REACHABLE, Unavailable, UserError
from app.logs import configure
from app.main import build
from app.preflight import check
from app.roles import Role
from app.settings import settings
from app.standstill import whereabouts

CRASHED = 70  # EX_SOFTWARE of sysexits.h
CUT_OFF = 75  # EX_TEMPFAIL
STOP_SECONDS = 15.0  # half of what Kubernetes grants
WORDS_SECONDS = 2.0  # for the last words of a process that is cut off

log = logging.getLogger(__name__)


@click.command()
@click.option("--role", type=click.Choice([role.value for role in Role]), default="all", show_default=True)
@click.option("--web-port", type=click.IntRange(1, 65535), help="Port of its health pages (STARLING_WEB_PORT).")
def worker(role: str, web_port: int | None) -> None:
    """Run the agents of a role until SIGTERM or Ctrl-C."""
    chosen = settings() if web_port is None else settings().model_copy(update={"web_port": web_port})
    set_on_retry_hooks([])  # a look before the start ends in one line, or in none
    asyncio.run(check(Role(role), chosen))
    configure(chosen)
    log.info("worker starts", extra={"role": role, "web": f"http://{chosen.web_host}:{chosen.web_port}"})
    status = _run(_PromptWorker(build(Role(role), chosen), quiet=True, override_logging=False, redirect_stdouts=False))
    log.info("worker ends", extra={"status": status})
    sys.stderr.flush()
    # Threads of the driver must not keep a worker that has already committed from ending.
    os._exit(status)


class _PromptWorker(Worker):
    """Ends in time: Faust waits for a minute and more for a Kafka that is away, and passes over a second signal.

    Whatever is cut off was not acknowledged, and is read again.
    """

    def _schedule_shutdown(self, number: signal.Signals) -> None:
        if self._signal_stop_time:
            self._cut_off("told twice to stop")
        timer = threading.Timer(STOP_SECONDS, self._cut_off, ["Kafka does not answer"])
        timer.daemon = True
        timer.start()
        super()._schedule_shutdown(number)

    def _cut_off(self, why: str) -> None:
        # Whatever comes of the words: who reads them may not take them.
        last = threading.Timer(WORDS_SECONDS, os._exit, [CUT_OFF])
        last.daemon = True
        last.start()
        try:
            loops = [self.loop]
            if (consumer := self.app._consumer) is not None:
                loops.append(consumer._thread.thread_loop)  # Faust's Kafka client has a loop and thread of its own
            where = whereabouts(loops)
            log.warning("worker ends without a farewell", extra={"why": why, "status": CUT_OFF, "where": where})
            sys.stderr.flush()
        finally:
            os._exit(CUT_OFF)


def _run(worker: Worker) -> int:
    """Run until a signal or a crash. What was not acknowledged by then is read again by the next worker."""
    worker.spinner = None
    # Posts have no cycles and die young: the default, to collect every 700 objects, took a third of the time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        return _status(ended.__context__) if ended.code else 0
    except (Exception, asyncio.CancelledError):
        log.exception("worker crashed")
        return CRASHED
    return 0


def _status(reason: BaseException | None) -> int:
    """Exit status for what ended the worker, which mode has turned into a SystemExit."""
    if not isinstance(reason, (Unavailable, UserError)):
        return CRASHED
    log.error("worker gives up", extra={"why": str(reason)})
    return NOT_REACHABLE if isinstance(reason, Unavailable) else 1
