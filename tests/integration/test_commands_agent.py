"""The manager: one writer decides, once, whoever asks, however often, and whatever happens to it meanwhile.

The prototype kept events in YAML, where the code 2012, the code on and a keyword with a quote were something else than
what was typed, and where two people who saved at once lost one change.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from app.clients.event_commands import commander
from app.clients.event_commands import refresh as refresh_all
from app.domain.decisions import Answer, Command
from app.domain.events import Definition, Event
from app.domain.partitioning import BucketRule
from app.local.stack import Stack
from app.settings import Settings
from app.topics import EVENT_RESULTS, EVENTS
from tests.support import events, topics
from tests.support.groups import evict, members
from tests.support.place import place
from tests.support.proxy import Proxy
from tests.support.together import Running, Together
from tests.support.waiting import until
from tests.support.workers import Worker, worker

scenarios = Together(at_once=3)


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


@scenarios.add
def a_manager_that_thaws_takes_nothing_back(stack: Stack) -> None:
    """Frozen in the middle of its work for longer than its session, it worked on for a moment when it thawed.

    An older state then stood above 55 accepted edits, in `events` or in the table.
    """
    with place(stack) as settings, worker(settings, "manager") as frozen:
        frozen.wait_ready()
        events.accepted(settings, events.create("ice", keywords=("start",)))
        edits = [edit("ice", f"keyword{number}") for number in range(60)]
        with contextlib.ExitStack() as started:
            asyncio.run(_while_frozen(settings, frozen, edits, started))
            last = events.events(settings)["ice"]
            assert last.version == 1 + len(edits)
            frozen.thaw()
            until(lambda: _joined(frozen) > 1, "it has noticed and joined anew")
            # What was on its way when it froze cannot be called back; who owns the partition tells the truth again.
            until(lambda: sent_events(settings, "ice")[-1] == last, "the last word is the newest state", 30, 0.5)
            after = events.accepted(settings, edit("ice", "after"))
            assert after[0].version == last.version + 1
            assert events.events(settings)["ice"].history[:-1] == last.history


async def _while_frozen(
    settings: Settings, frozen: Worker, edits: list[Command], started: contextlib.ExitStack
) -> None:
    """Freeze a manager that has answered some of the edits; another answers the rest."""
    async with commander(settings) as sender:
        await asyncio.gather(*(sender.send(command) for command in edits[:30]))
        await sender.answer(edits[0], 60)
        frozen.freeze()
        started.enter_context(worker(settings, "manager")).wait_ready()
        await asyncio.gather(*(sender.send(command) for command in edits[30:]))
        for command in edits[1:]:
            assert (await sender.answer(command, 90)).accepted


def _joined(asked: Worker) -> float:
    """How many rebalances a worker has come through."""
    lines = [line for line in asked.get("/metrics")[1].splitlines() if 'operation="completed"}' in line]
    return max((float(line.rpartition(" ")[2]) for line in lines), default=0)


def test_a_bucket_rule_that_comes_too_late_is_refused(manager: Worker) -> None:
    """Posts of its time may be stored already: they would be stored a second time, in another bucket."""
    now = datetime.now(UTC)
    events.accepted(manager.settings, events.create("late-rule", keywords=("x",)))
    ago = int((now - timedelta(seconds=20)).timestamp() * 1000)
    rule = BucketRule(since=ago, seconds=60, shards=2)
    sent_then = msgspec.structs.replace(
        events.command("reshard", "late-rule", rule=rule), at=now - timedelta(seconds=30)
    )
    answer = events.told(manager.settings, sent_then)
    assert (answer.accepted, answer.reason) == (False, "invalid")
    ahead = msgspec.structs.replace(rule, since=ago + 80_000)
    events.accepted(manager.settings, events.command("reshard", "late-rule", rule=ahead))
    assert events.events(manager.settings)["late-rule"].buckets[-1] == ahead


@scenarios.add
def a_purge_that_waits_for_cassandra_holds_up_nobody_and_goes_on_after_a_kill(stack: Stack) -> None:
    with place(stack, session_timeout=6) as settings, Proxy(settings.cassandra) as way:
        cut_off = settings.model_copy(update={"cassandra": way.address})
        with worker(cut_off, "manager") as manager:
            manager.wait_ready()
            drafts = [events.create(code, draft=True, keywords=("x",)) for code in ("gone", "here")]
            events.accepted(settings, *drafts)
            way.cut()
            first, second = events.command("purge", "gone"), events.command("purge", "gone")
            asyncio.run(_send(settings, first, second))
            until(lambda: events.events(settings)["gone"].version == 3, "both are at work")
            events.accepted(settings, events.command("edit", "here", definition=Definition(name="still edited")))
            assert events.told(settings, events.create("gone", keywords=("y",))).reason == "exists"
            assert manager.get("/healthz")[0] == 200
            manager.kill()
            manager.restart()
            manager.wait_ready()
            way.mend()
            until(lambda: "gone" not in events.events(settings), "the purge is done", 90, 0.5)
            until(lambda: {first.id, second.id} <= _answered(settings), "both are answered", 30, 0.5)
            assert events.accepted(settings, events.create("gone", keywords=("y",)))[0].version == 4


async def _send(settings: Settings, *commands: Command) -> None:
    async with commander(settings) as sender:
        for command in commands:
            await sender.send(command)


def _answered(settings: Settings) -> set[str]:
    answers = [msgspec.json.decode(record.value, type=Answer) for record in topics.read(settings, EVENT_RESULTS)]
    return {answer.id for answer in answers if answer.accepted}


@scenarios.add
def a_manager_killed_again_and_again_applies_each_edit_once(stack: Stack) -> None:
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


together = scenarios.fixture()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("scenario", scenarios.names)
def test_managers(together: Running, scenario: str) -> None:
    together[scenario].result()
