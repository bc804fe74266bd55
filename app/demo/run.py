"""The demo from start to end. Whatever it starts, it ends, however it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Protocol

from msgspec import Struct

from app.clients.cassandra import session
from app.clients.event_commands import read_events
from app.demo import live
from app.demo.comparing import compare
from app.demo.events import create
from app.demo.ground import own_place, servers
from app.demo.interrupts import handled, run_async
from app.demo.ledger import Ledger
from app.demo.letters import Letter, read_letters
from app.demo.outcome import Outcome, outcome
from app.demo.plan import EVENTS, SHARE, Options
from app.demo.sending import Sender
from app.demo.source import source
from app.demo.watching import Figures, Watch
from app.demo.worker import Worker, worker
from app.domain.activity import Activity
from app.domain.classify import Intake
from app.domain.events import Event
from app.errors import UserError
from app.generator import Generator
from app.settings import Settings

STILL_SECONDS = 60.0  # without anything moving, after which the demo has failed
_LOOK = 0.25


class Screen(Protocol):
    """Where a demo is shown."""

    def say(self, line: str) -> None:
        """Tell what is being done."""

    def busy(self, line: str) -> None:
        """Tell how far something is that takes long, for as long as it takes."""

    def show(self, figures: Figures, posts: int) -> None:
        """Show how far it is, of so many posts."""

    def close(self, outcome: Outcome) -> None:
        """Show how it ended."""


class Streamed(Struct):
    """What is known once everything is stored."""

    ledger: Ledger
    events: dict[str, Event]
    intake: Intake
    activities: dict[str, Activity]
    letters: dict[str, Letter]
    seconds: float  # from the first post to the last row


def run(options: Options, screen: Screen, at_rest: Callable[[Settings], None] | None = None) -> Outcome:
    """Run the demo. `at_rest` is called once all is stored: a test spoils a row then, to see that it is found.

    Raises UserError or Unavailable where it cannot go on.
    """
    with (
        handled(),
        servers(options, screen.say, screen.busy) as base,
        own_place(base, options, screen.say) as settings,
        ExitStack() as opened,
    ):
        heard = opened.enter_context(source(settings)) if options.live else None
        screen.say("starting a worker of all roles")
        running = opened.enter_context(worker(heard.heard_by(settings) if heard else settings))
        running.wait_ready()
        screen.say(f"the worker is ready at {running.address}")
        if options.stay:
            screen.say(f"look on in a browser (this link signs in once): {running.link()}")
        streamed = run_async(_stream(running, options, screen))
        if at_rest is not None:
            at_rest(settings)
        screen.say(f"comparing {len(streamed.ledger.rows):,} rows, id by id and column by column")
        with session(settings) as cassandra:
            rows = compare(cassandra, settings.keyspace, streamed.events, streamed.ledger)
            listened = live.act(running, heard, cassandra, options, screen) if heard else None
        ended = outcome(
            *(streamed.ledger, rows, streamed.letters.values(), streamed.intake, streamed.activities, streamed.seconds),
            live=listened,
        )
        if options.stay:
            screen.close(ended)
            _stay(running, screen)
    if ended.agrees:
        running.log.unlink(missing_ok=True)
    return ended


def _stay(running: Worker, screen: Screen) -> None:
    """Return at a Ctrl-C. Raises UserError if the worker ends before."""
    screen.say(f"the pages stay at {running.address} ; another link signs in once: {running.link()}")
    screen.say(f"for commands in another terminal: {running.told}")
    screen.say("Ctrl-C ends the demo")
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(_LOOK)
            running.check()


async def _stream(running: Worker, options: Options, screen: Screen) -> Streamed:
    settings = running.settings
    events = await create(settings, EVENTS, max(1.0, options.rate * SHARE))
    await asyncio.to_thread(running.wait_knows, len(events))
    screen.say(f"created {' and '.join(events)}; now the posts, {options.rate:,.0f} a second")
    generator = await asyncio.to_thread(Generator, list(events.values()), options.seed)
    ledger = Ledger(tuple(events))
    watch = Watch(settings, ledger)
    sender = Sender(settings, generator, ledger, options.rate)
    async with watch.view:
        watch.begin()
        sending = asyncio.create_task(sender.run(options.posts))
        try:
            figures = await _until_done(watch, sending, running, screen, options)
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
        return Streamed(
            ledger,
            await read_events(settings),
            watch.intake(),
            {code: watch.activity(code) for code in events},
            await read_letters(settings),
            figures.seconds,
        )


async def _until_done(
    watch: Watch, sending: asyncio.Task[None], running: Worker, screen: Screen, options: Options
) -> Figures:
    """Show how far it is until all that was sent is stored. Raises UserError if nothing moves any more."""
    while True:
        await asyncio.sleep(_LOOK)
        running.check()
        if sending.done():
            await sending
        figures = watch.figures(finished=sending.done())
        screen.show(figures, options.posts)
        if figures.done:
            return figures
        if watch.still_seconds > STILL_SECONDS:
            raise UserError(f"nothing has moved for {STILL_SECONDS:.0f} s: {_lacking(figures)}; see {running.log}")


def _lacking(figures: Figures) -> str:
    found = [f"{figures.read:,} of {figures.sent:,} posts read"]
    for code, due in figures.due.items():
        found.append(f"{figures.stored[code]:,} of {due:,} posts of {code} stored")
    return ", ".join(found)
