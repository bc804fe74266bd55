"""`starling demo`: everything at once, on this machine, with generated posts, and checked."""

from __future__ import annotations

import os
import sys
from typing import Any

import click
import msgspec

from app.demo.interrupts import deaf
from app.demo.plan import LIVE_SECONDS, POSTS, RATE, Options
from app.domain.heard_plain import plain
from cli.demo_screen import screen_for
from cli.terminal import prepare, print_json


@click.command()
@click.option("--posts", type=click.IntRange(1, 5_000_000), default=POSTS, show_default=True, help="How many.")
@click.option("--rate", type=click.FloatRange(1, 50_000), default=RATE, show_default=True, help="Posts a second.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same posts.")
@click.option(
    "--live",
    type=click.FloatRange(0, 3600),
    default=LIVE_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Then listen to a simulated live source; 0: do not.",
)
@click.option("--docker", is_flag=True, help="Use containers (or STARLING_STACK=docker).")
@click.option("--keep", is_flag=True, help="Leave topics, keyspace and servers as they are at the end.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def demo(*, docker: bool, as_json: bool, **chosen: Any) -> None:
    """Stream generated posts through Kafka into Cassandra, and compare what is there with what was sent.

    Then a live source, simulated, is listened to while a keyword is added and the connection is cut, and what is stored
    is compared with the source's own log.

    On a terminal its pages stay after that, until a Ctrl-C; elsewhere, and with --json, it ends by itself.

    Uses a topic prefix and a keyspace of its own on the local stack, which it starts if it does not run (or on the
    servers that STARLING_KAFKA and STARLING_CASSANDRA name). Exit status 1 where anything is missing, too much or
    wrong.
    """
    prepare()
    # The drivers take half a second that `--help` should not cost.
    from app.demo.run import run  # noqa: PLC0415

    with screen_for(as_json) as screen:
        try:
            docker = docker or os.environ.get("STARLING_STACK") == "docker"
            stay = sys.stdout.isatty() and not as_json
            outcome = run(Options(docker=docker, stay=stay, **chosen), screen)
        except KeyboardInterrupt:
            deaf()  # all is tidied up; a second Ctrl-C must not change the exit status
            raise
    if as_json:
        more: dict[str, Any] = {"agrees": outcome.agrees, "rate": round(outcome.rate, 1)}
        if live := outcome.live:
            more["live"] = msgspec.to_builtins(live) | {"heard": plain(live.heard)}
        print_json(msgspec.to_builtins(outcome) | more)
    elif not stay:
        screen.close(outcome)
    if not outcome.agrees:
        sys.exit(1)
