"""Where a demo runs: servers that are there or are started, and topics and a keyspace that only this run uses."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock

from app.clients.cassandra import session
from app.clients.kafka import admin
from app.clients.migrate import migrate, wanted_topics
from app.demo.interrupts import deaf, run_async
from app.demo.plan import Options
from app.errors import Unavailable
from app.local.stack import Stack
from app.settings import Settings, state_dir

Say = Callable[[str], None]
log = logging.getLogger(__name__)

_LOCK = ".demo.lock"
_PATIENCE = 30.0  # seconds for Cassandra to drop a keyspace that it still writes


@contextmanager
def servers(options: Options, say: Say, busy: Say) -> Iterator[Settings]:
    """Settings of running servers: those that the environment names, or this machine's, started if they do not run.

    `busy` is told of every step, `say` only of what a person may want to read later.
    """
    if "STARLING_KAFKA" in os.environ and "STARLING_CASSANDRA" in os.environ:
        yield Settings()
        return
    stack = Stack()
    stack.directory.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    running = {part.name for part in stack.status() if part.state == "up"}
    if not {"kafka", "cassandra"} <= running:
        say("starting Kafka and Cassandra (the first time they are fetched, about 110 MB)")
    started = stack.start(busy, in_docker=options.docker)
    if started:
        say(f"Kafka and Cassandra are up after {time.monotonic() - began:.0f} s")
    try:
        with _in_use(stack):
            yield Settings()
    finally:
        deaf()
        if started and not options.keep:
            _stop(stack, say)


@contextmanager
def _in_use(stack: Stack) -> Iterator[None]:
    """Hold a lock that tells another demo that the servers are in use."""
    with (stack.directory / _LOCK).open("w") as lock:
        flock(lock, LOCK_SH)
        yield


def _stop(stack: Stack, say: Say) -> None:
    """Stop the servers, unless something else has come to use them meanwhile."""
    with (stack.directory / _LOCK).open("w") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            say("Kafka and Cassandra stay: another demo uses them; `starling down` stops them")
            return
        if any(part.name == "worker" and part.state != "off" for part in stack.status()):
            say("Kafka and Cassandra stay: a worker was started beside them; `starling down` stops them")
            return
        say("stopping Kafka and Cassandra")
        stack.stop()


@contextmanager
def own_place(settings: Settings, options: Options, say: Say) -> Iterator[Settings]:
    """The settings with a topic prefix and keyspace of this run, migrated; both are removed at the end."""
    mark = f"demo_{uuid.uuid4().hex[:8]}"
    spool = state_dir() / "data" / "demo" / mark
    own = settings.model_copy(
        update={"topic_prefix": f"{mark}-", "keyspace": mark, "spool_dir": spool, "sources": "none"}
    )
    say(f"making topics and tables of this run alone ({mark})")
    try:
        run_async(migrate(own))
        yield own
    finally:
        deaf()
        if options.keep:
            say(f"kept: topics {own.topic_prefix}… and keyspace {own.keyspace}")
        else:
            say("removing its topics and tables")
            _remove(own)
            shutil.rmtree(spool, ignore_errors=True)
            shutil.rmtree(own.exports, ignore_errors=True)


def _remove(settings: Settings) -> None:
    """Remove topics (Kafka then forgets the group too) and keyspace, as far as the servers answer."""
    try:
        asyncio.run(_remove_topics(settings))
    except (Unavailable, OSError, TimeoutError) as error:
        log.warning("topics %s… stay: %s", settings.topic_prefix, error)
    try:
        with session(settings) as cassandra:
            cassandra.execute(f"DROP KEYSPACE IF EXISTS {settings.keyspace}", timeout=_PATIENCE)
    except Exception as error:
        log.warning("keyspace %s stays: %s", settings.keyspace, error)


async def _remove_topics(settings: Settings) -> None:
    async with asyncio.timeout(_PATIENCE), admin(settings) as client:
        present = set(await client.list_topics())
        if names := [topic.name for topic in wanted_topics(settings) if topic.name in present]:
            await client.delete_topics(names)
