"""`starling simulate`: a server that speaks what live sources speak."""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import Sequence
from pathlib import Path

import click

from app.domain.codes import code_of
from app.domain.events import Event
from app.domain.keywords import parse_keyword
from app.errors import UserError
from app.simulator import Options, Simulator
from app.simulator.book import Limits
from app.simulator.faults import WIRES
from cli.terminal import prepare, print_json

_count = click.IntRange(min=1)


class _Finite(click.FloatRange):
    """A number: nan passes every comparison that refuses it by failing."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is no number of use.", param, ctx)
        return number


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE…]", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port; without, a free one, which is printed.")
@click.option("--rate", default=57.0, show_default=True, type=_Finite(0), help="Posts a second; 0: no limit.")
@click.option("--posts", type=click.IntRange(0), help="So many posts, then none; without, no end.")
@click.option("--seed", default=0, help="Of generated posts.")
@click.option("--loop", is_flag=True, help="The files again and again.")
@click.option("--event", "events", multiple=True, metavar="NAME:KW,KW", help="Plant an event's keywords.")
@click.option("-k", "--keyword", "keywords", multiple=True, help="Plant a keyword.")
@click.option("--wires", default=",".join(WIRES), show_default=True, help="Wires that posts are generated for.")
@click.option("--wait", is_flag=True, help="No post before the first client.")
@click.option("--pool", default=0, type=click.IntRange(0), help="Cycle so many posts with new ids (X v2 only).")
@click.option("--post-bytes", default=0, type=click.IntRange(0), help="Least length of a post of the pool.")
@click.option("--token", help="Bearer token that clients must have; without, any will do.")
@click.option("--rules", default=1000, show_default=True, type=_count, help="Rules that the X plan allows.")
@click.option("--rule-length", default=1024, show_default=True, type=_count, help="Characters it allows a rule.")
@click.option("--rule-delay", default=0.0, type=_Finite(0), help="Seconds from X's answer until a rule is in force.")
@click.option("--keep-alive", type=_Finite(0.01), help="Seconds between; else 20, and 30 at v1.1, as they have it.")
@click.option("--connections", default=1, show_default=True, type=_count, help="That X allows at once.")
@click.option("--evict", is_flag=True, help="X ends the older connection, instead of refusing the newer.")
@click.option("--attempts", default=0, type=click.IntRange(0), help="Connects a minute that X allows; 0: no limit.")
@click.option("--history", default=20_000, show_default=True, type=_count, help="Events that Jetstream can replay.")
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="Write the log there, as JSON lines.")
@click.option("--log-size", default=200_000, show_default=True, type=_count, help="Entries of the log in memory.")
@click.option("--json", "as_json", is_flag=True, help="Print where it listens as JSON.")
def simulate(
    *,
    files: Sequence[Path],
    events: Sequence[str],
    keywords: Sequence[str],
    wires: str,
    rules: int,
    rule_length: int,
    rule_delay: float,
    as_json: bool,
    **others: object,
) -> None:
    """Serve made-up posts as X v2, X v1.1 and Jetstream would, and break off as they do.

    Posts are generated, or are those of FILE… (JSONL, plain or gzipped). Faults are commanded, and what was sent under
    which rules is told, at /control (docs/simulator.md).
    """
    prepare()
    names = wires.split(",")
    if unknown := [name for name in names if name not in WIRES]:
        raise click.UsageError(f"--wires: there is no {unknown[0]!r}; there are {', '.join(WIRES)}")
    if others["token"] == "":
        raise click.UsageError("--token is empty")
    if others["pool"] and "x" not in names:
        raise click.UsageError("--pool is for the wire x")
    planted = [_event(text) for text in events]
    if keywords:
        planted.append(_planted("simulated", keywords))
    chosen = {"files": tuple(files), "events": tuple(planted), "limits": Limits(rules, rule_length, rule_delay)}
    options = Options(wires=tuple(wire for wire in WIRES if wire in names), **chosen, **others)  # type: ignore[arg-type]
    asyncio.run(_serve(options, as_json=as_json))


def _event(text: str) -> Event:
    name, _, keywords = text.partition(":")
    found = [keyword.strip() for keyword in keywords.split(",") if keyword.strip()]
    if not name.strip() or not found:
        raise click.UsageError(f'--event: write "name:keyword,keyword", not {text!r}')
    return _planted(name, found)


def _planted(name: str, keywords: Sequence[str]) -> Event:
    try:
        found = tuple(parse_keyword(keyword).text for keyword in keywords)
        return Event(code=code_of(name), name=name, keywords=found, status="active")
    except ValueError as wrong:
        raise click.UsageError(str(wrong)) from None


async def _serve(options: Options, *, as_json: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Simulator(options) as simulator:
        if as_json:
            print_json({"url": simulator.url, "port": simulator.port})
        else:
            click.echo(f"listening on {simulator.url}")
        failing = asyncio.create_task(simulator.failed())
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait((failing, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        failing.cancel()
        if failing in done and (error := failing.exception()):
            raise UserError(f"the stream of posts has failed: {error}")
