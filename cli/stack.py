"""`starling up` and `down`: Kafka, Cassandra and a worker on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from dataclasses import asdict

import click
from rich.console import Console
from rich.markup import escape

from app.errors import UserError
from app.local.probe import web_answers
from app.local.stack import Stack
from app.settings import Settings, settings
from cli.event_options import who
from cli.service import server
from cli.terminal import prepare

WORKER_TIMEOUT = 60.0

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
    if (other := server()) is not None:
        click.echo(f"commands ask {other.url}, not this stack: `--direct`, or `starling context use direct`", err=True)
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


def _link() -> str:
    """A link for whoever is at work here: they own this machine's Starling, so they may do everything in it."""
    from cli.direct import Direct  # noqa: PLC0415 - the drivers are slow to import

    prepare()

    async def made(name: str) -> str:
        here = Direct()
        if name not in await here.people():
            await here.rank(name, "admin")
        return await here.link(name)

    return asyncio.run(made(who()))


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
