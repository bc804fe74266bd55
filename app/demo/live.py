"""The second act: a live source is listened to, a keyword is added meanwhile, and the connection is cut once."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from cassandra.cluster import Session

from app.clients.event_commands import read_events
from app.clients.ledger import read_entries
from app.demo.events import add_keyword, create
from app.demo.hearing import Live, Told, asked_at, checks, stored, told
from app.demo.interrupts import run_async
from app.demo.plan import LIVE_EVENT, LIVE_KEYWORD, LIVE_RATE, Options
from app.demo.source import WAIT_SECONDS, Source
from app.demo.worker import Worker
from app.domain.events import Event
from app.domain.heard import Heard, coverage
from app.errors import UserError
from app.generator import Generator, Mix, Planted
from app.settings import Settings

# No decoy: what X takes for a keyword and Starling does not is another story. Single posts of X API v2, nothing else.
_MIX = Mix(planted=0.7, decoy=0, v2=1, v2_list=0, late=0, control=0, malformed=0, again=0, grown=0)
_SOON = 0.5  # seconds until the first post
_STORED_SECONDS = 30.0
_LOOK = 0.2


class Screen(Protocol):
    """Where the act is shown."""

    def say(self, line: str) -> None:
        """Tell what is being done."""

    def busy(self, line: str) -> None:
        """Tell how far something is that takes long, for as long as it takes."""


def act(running: Worker, source: Source, cassandra: Session, options: Options, screen: Screen) -> Live:
    """Play it. Raises UserError or Unavailable where it cannot go on."""
    settings = running.settings
    (event,) = run_async(create(settings, [LIVE_EVENT], LIVE_RATE)).values()
    tag = f"starling:{settings.topic_prefix}:{event.code}"
    source.wait(lambda state: _asks(state, tag), f"the source is asked for {event.code}", running.check)
    screen.say(f"a live source (simulated X), {LIVE_RATE:.0f} posts a second; the tracker asks it for {event.code}")
    posts = _posts(event, options)
    count = len(posts)
    source.push([post.line for post in posts], LIVE_RATE)

    def arisen(share: float) -> None:
        what, seconds = f"{share:.0%} of the posts have arisen", WAIT_SECONDS + options.live
        source.wait(_risen(count, share, screen), what, running.check, seconds)

    arisen(1 / 3)
    asked = time.time()
    run_async(add_keyword(settings, event, LIVE_KEYWORD))
    screen.say(f"keyword {LIVE_KEYWORD!r} is added while posts come, by the same connection")
    arisen(2 / 3)
    source.cut()
    screen.say("the connection is cut in the middle of a post")
    arisen(1)
    source.wait(lambda state: _asks(state, tag), "the tracker has connected again", running.check)
    entries = source.entries()
    due = told(entries, tag, posts, event.code)
    screen.say(f"comparing {len(due.sent):,} posts, id by id, with the source's own log of rules in force")
    found = _await_stored(cassandra, running, event.code, due)
    heard = _await_heard(settings, event.code, due, found)
    began = asked_at(entries, tag, LIVE_KEYWORD)
    return Live(
        code=event.code,
        checks=checks(due, found, heard),
        arisen=due.arisen,
        sent=len(due.sent),
        missed=len(due.missed),
        early=_early(posts, due, event),
        seconds=max(0.0, began - asked) if began is not None else 0.0,
        heard=heard,
    )


def _posts(event: Event, options: Options) -> list[Planted]:
    """Posts about the event as it will be, each with an id of the moment at which it is to arise."""
    wider = Event(code=event.code, name=event.name, keywords=(*event.keywords, LIVE_KEYWORD), status="active")
    generator = Generator([wider], options.seed, _MIX)
    start = time.time() + _SOON
    return [generator.line(int((start + n / LIVE_RATE) * 1000)) for n in range(max(3, int(options.live * LIVE_RATE)))]


def _early(posts: list[Planted], due: Told, event: Event) -> int:
    """Posts that only the new keyword is in, and that nobody was asked for."""
    found = {post.id: post.events.get(event.code, {}) for line in posts for post in line.posts}
    only_new = [number for number, keywords in found.items() if keywords.keys() == {LIVE_KEYWORD}]
    return sum(number not in due.sent and number not in due.missed for number in only_new)


def _asks(state: dict[str, Any], tag: str) -> bool:
    return bool(state["connections"]) and any(rule.get("tag") == tag for rule in state["rules"])


def _risen(count: int, share: float, screen: Screen) -> Callable[[dict[str, Any]], bool]:
    def truth(state: dict[str, Any]) -> bool:
        number = sum(posts for name, posts in state["counts"].items() if name.startswith("x "))
        screen.busy(f"live: {number:,} of {count:,} posts have arisen, {state['counts'].get('x sent', 0):,} were sent")
        return bool(number >= share * count)

    return truth


def _await_stored(cassandra: Session, running: Worker, code: str, due: Told) -> Counter[str]:
    """The rows of an event, once all that is due is among them or nothing comes any more."""
    keyspace, deadline = running.settings.keyspace, time.monotonic() + _STORED_SECONDS
    while True:
        found = stored(cassandra, keyspace, code)
        if due.sent <= found.keys() or time.monotonic() > deadline:
            return found
        running.check()
        time.sleep(_LOOK)


def _await_heard(settings: Settings, code: str, due: Told, rows: Counter[str]) -> Heard:
    """What the ledger says, once it says it of the last post too or says nothing new. Raises UserError.

    That its time has passed is not enough: the post before it may have been read later than the last one was sent.
    """
    deadline = time.monotonic() + _STORED_SECONDS
    while True:
        event = run_async(read_events(settings))[code]
        found = coverage(event, run_async(read_entries(settings)), int(time.time() * 1000))
        known = max((interval.until for heard in found for interval in heard.intervals), default=0) / 1000
        told_of_last = known >= math.floor(due.last * 1000) / 1000
        agrees = bool(found) and all(check.agrees for check in checks(due, rows, found[0]))
        if found and ((told_of_last and agrees) or time.monotonic() > deadline):
            return found[0]
        if time.monotonic() > deadline:
            raise UserError(f"`coverage` knows of no connection for {code}")
        time.sleep(_LOOK)
