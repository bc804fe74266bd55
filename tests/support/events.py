"""Events for tests: made through the manager, like a person does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec

from app.clients.event_commands import ask, commander, new_command, read_events
from app.domain.decisions import Answer, Command
from app.domain.events import Definition, Event
from app.domain.matcher import Matcher
from app.domain.partitioning import BucketRule
from app.settings import Settings
from app.topics import EVENTS
from tests.support.topics import Raw, send

WHO = "a test"
# One bucket for all of a day, as `rule_for` lays out a quiet event.
QUIET = (BucketRule(since=0, seconds=86_400, shards=1),)


def command(action: Any, code: str, **rest: Any) -> Command:
    """A command of a test."""
    return new_command(action, code, WHO, **rest)


def create(code: str, draft: bool = False, **fields: Any) -> Command:
    """The command that creates an event, of its name and fields."""
    return command("create", code, draft=draft, definition=Definition(**{"name": code, **fields}))


def told(settings: Settings, asked: Command) -> Answer:
    """The manager's answer."""
    return asyncio.run(ask(settings, asked))


def accepted(settings: Settings, *asked: Command) -> list[Answer]:
    """The answers to commands, which must all be accepted; one after the other."""

    async def all_of_them() -> list[Answer]:
        async with commander(settings) as sender:
            answers = []
            for one in asked:
                await sender.send(one)
                answers.append(await sender.answer(one, 60))
        return answers

    answers = asyncio.run(all_of_them())
    refused = [answer for answer in answers if not answer.accepted]
    assert not refused
    return answers


def events(settings: Settings) -> dict[str, Event]:
    """All events as they stand."""
    return asyncio.run(read_events(settings))


def active(code: str, *keywords: str, **rest: Any) -> Event:
    """An event as the manager would make it, for a test that has no manager."""
    return Event(code=code, name=code, keywords=keywords, status="active", buckets=QUIET, **rest)


def put_events(settings: Settings, made: Iterable[Event]) -> None:
    """Write events as the manager does."""
    send(settings, [Raw(msgspec.json.encode(event), None, event.code.encode(), ()) for event in made], EVENTS)


def matcher(made: Iterable[Event]) -> Matcher:
    """The matcher over events."""
    return Matcher(made)
