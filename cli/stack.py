"""`starling up`, `down` and `status`: Kafka, Cassandra and a worker on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime

import click
from msgspec import to_builtins
from rich.console import Console
from rich.markup import escape

from app.domain.coverage import SourceStatus
from app.domain.notices import Receiver, receivers_of
from app.domain.people import newcomer
from app.domain.watchdog import words
from app.errors import Unavailable, UserError
from app.local.probe import web_answers
from app.local.stack import Stack
from app.settings import Settings, settings
from cli.event_options import who
from cli.notify_views import print_receivers
from cli.terminal import cell, prepare, print_table

DOWN = 3  # exit status of `status`
WORKER_TIMEOUT = 60.0
_SOURCE_COLOURS = {
    "listening": "green",
    "quiet": "green",
    "blind": "red",
    "refused": "red",
    "waiting": "yellow",
    "left": "dim",
}
COLOURS = {"up": "green", "down": "red", "stale": "yellow", "off": "dim"}

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command()
@click.option("--docker", is_flag=True, help="Use containers (or STARLING_STACK=docker).")
@click.option("--no-worker", is_flag=True, help="Start only Kafka and Cassandra.")
@click.option("--restart-worker", is_flag=True, help="Start a running worker anew, with these settings.")
@_json
def up(docker: bool, no_worker: bool, restart_worker: bool, as_json: bool) -> None:
    """Start Kafka, Cassandra and a worker; what runs already is kept."""
    if no_worker and restart_worker:
        raise click.UsageError("--no-worker and --restart-worker exclude each other")
    console = Console(stderr=True, highlight=False)
    began = time.monotonic()
    stack = Stack()
    if not no_worker:
        stack.check_worker(anew=restart_worker)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it tidies up as after a Ctrl-C
    with console.status("starting") as spinner:

        def report(line: str) -> None:
            spinner.update(escape(line))
            if not console.is_terminal or "answers" in line:
                console.print(line, markup=False)

        started = stack.start(report, in_docker=docker or _docker_wanted())
        settings.cache_clear()  # read before the stack had addresses, perhaps
        if restart_worker:
            report("stopping the worker")
            stack.stop_worker()
        report("making topics and tables")
        _migrate(settings())
        if not no_worker:
            if stack.start_worker():
                started.append("worker")
                report("starting the worker")
            report(f"worker answers at {_await_worker(stack)}")
    differs = [] if no_worker else stack.worker_differs()
    if differs:
        click.echo(
            f"the worker was started with other settings than these ({', '.join(differs)}); "
            "`starling up --restart-worker` starts it with these",
            err=True,
        )
    link = "" if no_worker else _link()
    if as_json:
        _print_json(stack, started=started, differs=differs, link=link)
    elif started:
        click.echo(f"up in {time.monotonic() - began:.1f} s: {', '.join(started)}")
    else:
        click.echo("already up")
    if link and not as_json:
        click.echo(f"events in a browser (this link signs in once): {link}")


@click.command()
@click.option("--purge", is_flag=True, help="Remove the data and logs too.")
@_json
def down(purge: bool, as_json: bool) -> None:
    """Stop what `up` started. Data stays, unless purged."""
    stack = Stack()
    console = Console(stderr=True)
    with console.status("stopping"):
        stopped = stack.stop(purge=purge)
    if as_json:
        _print_json(stack, stopped=stopped, purged=purge)
    else:
        click.echo(
            (f"stopped: {', '.join(stopped)}" if stopped else "nothing ran") + ("; data removed" if purge else "")
        )


@click.command()
@_json
def status(as_json: bool) -> None:
    """Show what runs. Exit status 3 when something is down."""
    stack = Stack()
    parts = stack.status()
    has_kafka = any(part.name == "kafka" and part.state == "up" for part in parts)
    sources, receivers = (_sources(), _receivers()) if has_kafka else ([], [])
    if as_json:
        _print_json(stack, sources=to_builtins(sources), receivers=to_builtins(receivers))
    else:
        print_table(
            ("part", "state", "address", "pid", "up"),
            (
                (
                    cell(part.name),
                    cell(part.state, COLOURS[part.state]),
                    cell(part.address or ""),
                    cell(str(part.pid or (part.container or "")[:12])),
                    cell("" if part.seconds is None else words(part.seconds)),
                )
                for part in parts
            ),
        )
        if sources:
            print_table(
                ("source", "state", "since", "in words"),
                (
                    (
                        cell(source.source),
                        cell(source.state, _SOURCE_COLOURS.get(source.state, "")),
                        cell(words(time.time() - source.since / 1000)),
                        cell(source.words),
                    )
                    for source in sources
                ),
            )
        if receivers:
            print_receivers(receivers)
    if any(part.state in ("down", "stale") for part in parts):
        sys.exit(DOWN)


def _link() -> str:
    """A link for whoever is at work here: they own this machine's Starling, so they may do everything in it."""
    from cli.user import change, link_of  # noqa: PLC0415 - the drivers are slow to import

    prepare()
    name = who()
    person = change(name, lambda known: known or newcomer(name, "admin", name, datetime.now(UTC)))
    return link_of(person) if person is not None else ""


def _sources() -> list[SourceStatus]:
    """How the live sources are; none where Kafka does not say."""
    from app.clients.ledger import read_statuses  # noqa: PLC0415 - the drivers are slow to import

    prepare()
    with suppress(Unavailable):
        return asyncio.run(read_statuses(settings()))
    return []


def _receivers() -> list[Receiver]:
    """How the receivers of notices do; none where Kafka does not say."""
    from app.clients.mutes import read_notices  # noqa: PLC0415 - the drivers are slow to import

    with suppress(Unavailable):
        return receivers_of(asyncio.run(read_notices(settings())).values())
    return []


def _docker_wanted() -> bool:
    wanted = os.environ.get("STARLING_STACK", "")
    if wanted not in ("", "local", "docker"):
        raise UserError(f"STARLING_STACK={wanted!r} is neither 'local' nor 'docker'")
    return wanted == "docker"


def _migrate(current: Settings) -> None:
    from app.clients.migrate import migrate  # noqa: PLC0415 - the drivers are slow to import

    asyncio.run(migrate(current))


def _await_worker(stack: Stack) -> str:
    deadline = time.monotonic() + WORKER_TIMEOUT
    host, _, port = stack.worker_address().rpartition(":")
    while not web_answers(host, int(port), "/readyz"):
        if time.monotonic() > deadline:
            raise UserError(f"the worker is not ready after {WORKER_TIMEOUT:.0f} s; {stack.worker_words()}")
        if refused := stack.worker_refused():
            raise UserError(f"the worker does not start: {refused}")
        time.sleep(0.2)
    return f"http://{host}:{port}"


def _print_json(stack: Stack, **more: object) -> None:
    parts = {part.name: asdict(part) for part in stack.status()}
    click.echo(json.dumps({"directory": str(stack.directory), "parts": parts, **more}))
