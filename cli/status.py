"""`starling status`: what runs on this machine, or with a server, and how it is."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from msgspec import to_builtins
from rich.text import Text

from app.domain.coverage import SourceStatus
from app.domain.notices import Receiver
from app.domain.presence import Process
from app.domain.reach import Reach
from app.domain.watchdog import words
from app.errors import Unavailable
from app.local.stack import Stack
from cli.contexts import Context
from cli.event_arguments import with_json
from cli.notify_views import print_receivers
from cli.service import server
from cli.terminal import cell, prepare, print_json, print_table, safe
from cli.watching import shown, with_watch

if TYPE_CHECKING:
    from app.web.api.system import Whole

DOWN = 3  # exit status
_COLOURS = {"up": "green", "down": "red", "silent": "red", "stale": "yellow", "waits": "yellow", "off": "dim"}
_SOURCE_COLOURS = {
    "listening": "green",
    "quiet": "green",
    "blind": "red",
    "refused": "red",
    "waiting": "yellow",
    "left": "dim",
}


@click.command()
@with_watch
@with_json
def status(watch: bool, every: float, as_json: bool) -> None:
    """Show what runs: on this machine, or with the server that commands ask. Exit status 3 when something is down."""
    prepare()
    meant = server()

    def look() -> bool:
        return _of_this_machine(as_json=as_json) if meant is None else _of_server(meant, as_json=as_json)

    if not shown(look, watch=watch, every=every):
        sys.exit(DOWN)


def _of_this_machine(*, as_json: bool) -> bool:
    """Show it; whether nothing is down that should run."""
    stack = Stack()
    parts = stack.status()
    has_kafka = any(part.name == "kafka" and part.state == "up" for part in parts)
    sources, receivers = asyncio.run(_told()) if has_kafka else ([], [])
    if as_json:
        plain = {part.name: asdict(part) for part in parts}
        more = {"sources": to_builtins(sources), "receivers": to_builtins(receivers)}
        click.echo(json.dumps({"directory": str(stack.directory), "parts": plain, **more}))
    else:
        print_table(
            ("part", "state", "address", "pid", "up"),
            (
                (
                    cell(part.name),
                    _state(part.state),
                    cell(part.address or ""),
                    cell(str(part.pid or (part.container or "")[:12])),
                    cell("" if part.seconds is None else words(part.seconds)),
                )
                for part in parts
            ),
        )
        _print_told(sources, receivers)
    return not any(part.state in ("down", "stale") for part in parts)


async def _told() -> tuple[list[SourceStatus], list[Receiver]]:
    """How the live sources and the receivers of notices are; none where Kafka does not say."""
    from cli.direct import Direct  # noqa: PLC0415 - the drivers are slow to import

    here = Direct()
    sources: list[SourceStatus] = []
    receivers: list[Receiver] = []
    with suppress(Unavailable):
        sources = await here.statuses()
        _, _, receivers = await here.notices(1)
    return sources, receivers


def _of_server(meant: Context, *, as_json: bool) -> bool:
    """Show it; whether what it needs answers, and no process is silent. Raises UserError, Unavailable."""
    from cli.remote import Remote  # noqa: PLC0415 - brings what few commands need

    async def asked() -> tuple[Whole, list[Receiver]]:
        there = Remote(meant)
        (_, _, receivers), whole = await asyncio.gather(there.notices(1), there.system())
        return whole, receivers

    whole, receivers = asyncio.run(asked())
    now = int(time.time() * 1000)
    if as_json:
        told: dict[str, Any] = to_builtins(whole)
        print_json({"server": meant.url, **told, "receivers": receivers})
    else:
        print_table(("part", "state", "since", "in words"), _parts(whole, now))
        _print_told(whole.sources, receivers)
        for one in whole.findings:
            if one.level in ("problem", "warning"):
                click.echo(safe(f"{one.level}: {one.words}"))
    answer = (whole.kafka.up, whole.cassandra.up)
    return False not in answer and not any(one.silent(now) for one in whole.processes)


def _parts(whole: Whole, now: int) -> Iterator[tuple[Text, ...]]:
    for name, reach in (("kafka", whole.kafka), ("cassandra", whole.cassandra)):
        yield cell(name), _state(_reached(reach)), _since(reach.since, now), cell(reach.why)
    for process in whole.processes:
        behind = sum(lag.records for lag in whole.lags if lag.owner == process.id)
        yield cell(process.role), _state(_running(process, now)), _since(process.since, now), _of(process, behind)


def _reached(reach: Reach) -> str:
    return "unknown" if reach.up is None else "up" if reach.up else "down"


def _running(process: Process, now: int) -> str:
    return "silent" if process.silent(now) else "waits" if process.waits else "up"


def _of(process: Process, behind: int) -> Text:
    told = [process.holder, *(f"waits for {one}" for one in process.waits)]
    if behind:
        told.append(f"{behind:,} records behind")
    return cell("; ".join(told))


def _print_told(sources: Iterable[SourceStatus], receivers: list[Receiver]) -> None:
    rows = [
        (
            cell(source.source),
            cell(source.state, _SOURCE_COLOURS.get(source.state, "")),
            _since(source.since, time.time() * 1000),
            cell(source.words),
        )
        for source in sources
    ]
    if rows:
        print_table(("source", "state", "since", "in words"), rows)
    if receivers:
        print_receivers(receivers)


def _state(state: str) -> Text:
    return cell(state, _COLOURS.get(state, ""))


def _since(ms: int, now: float) -> Text:
    return cell(words((now - ms) / 1000) if ms else "")
