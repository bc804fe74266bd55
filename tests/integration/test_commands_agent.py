"""The manager: one writer decides, once, whoever asks, however often, and whatever happens to it meanwhile.

The prototype kept events in YAML, where the code 2012, the code on and a keyword with a quote were something else than
what was typed, and where two people who saved at once lost one change.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from app.clients.event_commands import commander
from app.clients.event_commands import refresh as refresh_all
from app.domain.decisions import Answer, Command
from app.domain.events import Definition, Event
from app.local.stack import Stack
from app.settings import Settings
from app.topics import EVENTS
from tests.support import events, topics
from tests.support.groups import evict, members
from tests.support.place import place
from tests.support.waiting import until
from tests.support.workers import Worker, worker


@pytest.fixture(scope="module")
def manager(stack: Stack) -> Iterator[Worker]:
    with place(stack) as settings, worker(settings, "manager") as started:
        yield started.wait_ready()


def sent_events(settings: Settings, code: str) -> list[Event]:
    """Everything that was ever told of an event, in order."""
    found = [record for record in topics.read(settings, EVENTS) if record.key == code.encode() and record.value]
    return [msgspec.json.decode(record.value, type=Event) for record in sorted(found, key=lambda record: record.offset)]


async def at_once(settings: Settings, commands: list[Command]) -> list[Answer]:
    """Answers to commands that are all sent before the first is answered."""
    async with commander(settings) as sender:
        await asyncio.gather(*(sender.send(command) for command in commands))
        return [await sender.answer(command, 60) for command in commands]


def edit(code: str, keyword: str, version: int | None = None) -> Command:
    return events.command("edit", code, definition=Definition(keywords=(keyword,)), expected_version=version)


async def test_of_two_who_create_the_same_code_one_wins(manager: Worker) -> None:
    racers = [events.create("race", keywords=(f"racer{n}",)) for n in range(5)]
    answers = await at_once(manager.settings, racers)
    winners = [racer for racer, answer in zip(racers, answers, strict=True) if answer.accepted]
    assert len(winners) == 1
    assert {answer.reason for answer in answers if not answer.accepted} == {"exists"}
    (event,) = await asyncio.to_thread(sent_events, manager.settings, "race")
    assert event.keywords == winners[0].definition.keywords


async def test_of_two_who_edit_the_same_version_one_wins(manager: Worker) -> None:
    settings = manager.settings
    await at_once(settings, [events.create("edited", keywords=("first",))])
    racers = [edit("edited", f"racer{n}", version=1) for n in range(5)]
    answers = await at_once(settings, racers)
    assert sorted(answer.accepted for answer in answers) == [False] * 4 + [True]
    assert {(answer.reason, answer.version) for answer in answers if not answer.accepted} == {("version", 2)}
    last = (await asyncio.to_thread(events.events, settings))["edited"]
    assert last.version == 2
    assert [change.version for change in last.history] == [1, 2]
    assert last.history[1].changed["keywords"][0] == ["first"]


async def test_a_repeated_command_gets_its_first_answer(manager: Worker) -> None:
    settings = manager.settings
    created = events.create("repeated", keywords=("repeated",))
    refused = edit("repeated", "late", version=7)
    first = await at_once(settings, [created, refused])
    await at_once(settings, [edit("repeated", "other")])
    assert await at_once(settings, [created, refused]) == first
    assert [event.version for event in await asyncio.to_thread(sent_events, settings, "repeated")] == [1, 2]


async def test_codes_and_keywords_that_broke_yaml_are_what_was_typed(manager: Worker) -> None:
    settings = manager.settings
    keywords = (
        '"a phrase"',
        "key: value",
        "-dash",
        "#hash",
        "{brace}",
        "on",
        "null",
        "2012",
        "'single'",
        "a\\b",
        "%s",
    )
    codes = ("2012", "on", "null", "no", "1e3", "0x1f")
    answers = await at_once(settings, [events.create(code, keywords=keywords) for code in codes])
    assert [answer.message for answer in answers if not answer.accepted] == []
    stand = await asyncio.to_thread(events.events, settings)
    for code in codes:
        assert (stand[code].code, stand[code].name, stand[code].keywords) == (code, code, keywords)


async def test_refresh_sends_every_event_again(manager: Worker) -> None:
    settings = manager.settings
    before = await asyncio.to_thread(events.events, settings)
    told = len(await asyncio.to_thread(topics.read, settings, EVENTS))
    answers = await refresh_all(settings, events.WHO)
    assert sum(int(answer.message.split()[0]) for answer in answers) == len(before)
    again = await asyncio.to_thread(topics.read, settings, EVENTS)
    assert len(again) - told == len(before)
    assert await asyncio.to_thread(events.events, settings) == before


async def test_a_scheduled_event_starts_by_itself_and_stops_at_its_end(manager: Worker) -> None:
    settings = manager.settings
    now = datetime.now(UTC)
    planned = events.create(
        "planned", keywords=("x",), start=now + timedelta(seconds=2), end=now + timedelta(seconds=6)
    )
    await at_once(settings, [planned])

    def stopped() -> bool:
        return [event.status for event in sent_events(settings, "planned")][-1:] == ["stopped"]

    await asyncio.to_thread(until, stopped, "it has stopped", 60, 0.5)
    told = await asyncio.to_thread(sent_events, settings, "planned")
    assert [(event.version, event.status) for event in told] == [(1, "scheduled"), (2, "active"), (3, "stopped")]
    for change, due in zip(told[-1].history[1:], (planned.definition.start, planned.definition.end), strict=True):
        assert isinstance(due, datetime)
        assert change.who == "starling"
        assert change.at >= due, "not before its time"


@pytest.mark.timeout(400)
def test_a_manager_killed_again_and_again_applies_each_edit_once(stack: Stack) -> None:
    """Killed between any two of: the event to `events`, the table, the answer, the acknowledgement."""
    dice = random.Random(7)
    codes = [f"event-{number}" for number in range(4)]
    with place(stack) as settings, worker(settings, "manager") as manager:
        manager.wait_ready()
        events.accepted(settings, *(events.create(code, keywords=("start",)) for code in codes))
        commands = [edit(dice.choice(codes), f"keyword{number}") for number in range(144)]
        asyncio.run(_while_killed(settings, manager, commands, dice))
        for code in codes:
            told = sent_events(settings, code)
            mine = [command for command in commands if command.code == code]
            last = told[-1]
            assert last.version == 1 + len(mine)
            assert [change.version for change in last.history] == list(range(1, last.version + 1)), "each once, no gap"
            assert [event.version for event in told] == sorted(event.version for event in told)
            assert {event.version for event in told} == set(range(1, last.version + 1)), "each was told"
            wanted = sorted(command.definition.keywords for command in mine if command.definition.keywords)
            assert sorted(tuple(change.changed["keywords"][1]) for change in last.history[1:]) == wanted
            by_version = {event.version: event for event in told}
            assert all(by_version[event.version] == event for event in told), "what was told twice was told the same"


async def _while_killed(settings: Settings, manager: Worker, commands: list[Command], dice: random.Random) -> None:
    """Send commands, killing the manager between; every command must be answered with its own version."""
    async with commander(settings) as sender:
        versions: dict[str, list[int]] = {}
        for number, command in enumerate(commands):
            await sender.send(command)
            if number % 24 == 23:
                await asyncio.sleep(dice.uniform(0, 0.05))
                dead = await members(settings, "manager")
                manager.kill()
                manager.restart()
                await evict(settings, "manager", dead)
                # Its predecessors' answers come too, which is what a person waits for.
                answer = await sender.answer(commands[number - 23], 60)
                assert answer.accepted
        for number, command in enumerate(commands):
            if number % 24:
                answer = await sender.answer(command, 60)
                assert answer.accepted
                assert answer.version is not None
                versions.setdefault(command.code, []).append(answer.version)
        for numbers in versions.values():
            assert len(set(numbers)) == len(numbers)
