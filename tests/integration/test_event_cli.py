"""`starling event` with a real manager: a life of an event, races, and a manager that is killed."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import cli
import cli.direct
import cli.event
from app.clients.audit import read_newest
from app.clients.event_commands import commander, read_events
from app.domain.decisions import Answer
from app.domain.events import Definition
from app.local.server import free_ports
from app.local.stack import Stack
from app.schema import EVENT_BUCKET, TWEET, TWEET_RAW
from app.settings import Settings
from app.topics import EVENTS
from tests.support import commands, events, rows, topics
from tests.support.commands import Ran
from tests.support.patched import starling_with
from tests.support.place import place
from tests.support.waiting import until
from tests.support.workers import Worker, worker

EDITS = 80
PURGES_LONG = starling_with("import agents.purging; agents.purging.PURGE_AGAIN_SECONDS = 15.0")
Event = Callable[..., Ran]


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Iterator[Settings]:
    with place(stack) as own:
        yield own


@pytest.fixture(scope="module", autouse=True)
def manager(settings: Settings) -> Iterator[Worker]:
    with worker(settings, "manager", PURGES_LONG) as started:
        yield started.wait_ready()


@pytest.fixture
def event(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Event:
    """The command in this process, which saves the start of one."""
    monkeypatch.setenv("STARLING_USER", "ada")
    monkeypatch.setattr(cli.event, "prepare", lambda: None)

    def starling_event(*args: str, typed: str = "", **changed: object) -> Ran:
        monkeypatch.setattr(cli.direct, "settings", lambda: settings.model_copy(update=changed))
        return commands.run_here(monkeypatch, capsys, "event", *args, stdin=io.StringIO(typed))

    return starling_event


def done(ran: Ran) -> str:
    """What a command that worked has said."""
    assert (ran.status, ran.err) == (0, ""), ran
    return ran.out


def test_the_life_of_an_event(event: Event, settings: Settings) -> None:
    created = event(
        "create", "2012 Hurricane Sandy", "-k", 'sandy, "storm surge"', "--language", "en", "--why", "warned"
    )
    code = "2012-hurricane-sandy"
    assert done(created).startswith(f"created event {code} (version 1, active); it hears what was said since ")
    assert event("create", "2012 hurricane SANDY", "-k", "x").error == f"event {code!r} exists"
    assert done(event("edit", code, "--add-keyword", "nyc")).startswith(f"edited event {code} (version 2); ")
    late = event("edit", code, "-k", "late", "--version", "1")
    both = 'its keywords sandy, "storm surge", nyc, yours late'
    assert (late.status, late.error) == (1, f"event {code!r} is at version 2, not 1; {both}")
    for version, action in ((3, "pause"), (4, "resume"), (5, "stop")):
        answer = json.loads(done(event(action, code, "--json", "--why", action)))
        assert (answer["accepted"], answer["version"]) == (True, version)
    wrong = event("pause", code)
    assert (wrong.status, wrong.error) == (1, f"event {code!r} is stopped: it cannot be paused")

    told = json.loads(done(event("show", code, "--json")))
    assert told["keywords"] == ["sandy", '"storm surge"', "nyc"]
    assert (told["status"], told["version"]) == ("stopped", 5)
    history = json.loads(done(event("history", code, "--json")))
    assert [change["action"] for change in history] == ["create", "edit", "pause", "resume", "stop"]
    assert {change["who"] for change in history} == {"ada"}
    assert history[0]["why"] == "warned"
    assert history[1]["changed"]["keywords"] == [["sandy", '"storm surge"'], ["sandy", '"storm surge"', "nyc"]]

    deleted = event("delete", code, typed=f"{code}\n")
    assert deleted.status == 0
    assert "its rows stay" in deleted.out
    assert code not in done(event("list"))
    assert code in done(event("list", "--all"))
    assert event("edit", code, "-k", "x").error == f"there is no event {code!r}"


def put_row(settings: Settings, code: str) -> None:
    for table, names, values in (
        (TWEET, "event_name, bucket, t_id", "%s, 'b', '1'"),
        (TWEET_RAW, "event_name, bucket, t_id", "%s, 'b', '1'"),
        (EVENT_BUCKET, "event_name, bucket", "%s, 'b'"),
    ):
        rows.query(settings, f"INSERT INTO {{keyspace}}.{table} ({names}) VALUES ({values})", code)  # noqa: S608


def test_a_purge_removes_rows_and_frees_the_code(event: Event, settings: Settings) -> None:
    for code in ("to-purge", "to-keep"):
        done(event("create", code, "-k", "x", "--draft"))
        put_row(settings, code)
    refused = event("purge", "to-purge", typed="to-keep\n")
    assert refused.status == 1
    assert refused.err.splitlines()[-1].endswith("not confirmed, nothing was done (--yes does not ask)")
    # Shorter than the purge takes: it is seen to be at work, and waited for.
    purged = event("purge", "to-purge", "--yes", command_timeout=10)
    assert purged.status == 0
    assert purged.out == "purged event to-purge: its rows are removed, its code is free\n"
    for table in (TWEET, TWEET_RAW, EVENT_BUCKET):
        kept = {row["event_name"] for row in rows.query(settings, rows.EVERYTHING + table)}
        assert kept == {"to-keep"}
    assert event("show", "to-purge").error == "there is no event 'to-purge'; `starling event list` shows all"
    assert "version 3" in done(event("create", "to-purge", "-k", "x", "--draft")), "versions go on"


def test_what_is_done_without_a_server_stands_in_the_audit_log(
    event: Event, settings: Settings, tmp_path: Path
) -> None:
    done(event("create", "Noted", "-k", "x", "--draft"))
    done(event("edit", "noted", "-k", "y, z"))
    assert event("pause", "noted").status == 1
    done(event("own", "noted", "ben"))
    file = tmp_path / "events.yaml"
    file.write_text("events: [{code: noted, keywords: [w]}, {code: noted-too, name: Too, keywords: [v]}]")
    done(event("import", str(file)))
    done(event("delete", "noted", "--yes"))
    sent = json.loads(done(event("refresh", "--json")))["events"]
    entries = asyncio.run(read_newest(settings, 100))
    noted = [
        one for one in reversed(entries) if one.target == "noted" or one.action in ("events.import", "events.refresh")
    ]
    assert {(one.who, one.by) for one in noted} == {("ada", "direct")}
    assert [(one.action, one.outcome, one.detail) for one in noted][-7:] == [
        ("events.create", "done", {"fields": ["keywords", "name"], "version": 1}),
        ("events.edit", "done", {"fields": ["keywords"], "version": 2}),
        ("events.pause", "refused", {"why": "event 'noted' is draft: it cannot be paused"}),
        ("events.own", "done", {"fields": ["owners"], "version": 3}),
        ("events.import", "done", {"events": ["noted: edit", "noted-too: create"]}),
        ("events.delete", "done", {"version": 5}),
        ("events.refresh", "done", {"events": sent}),
    ]


def test_refresh_sends_every_event_again(event: Event, settings: Settings) -> None:
    for number in range(6):
        events.accepted(settings, events.create(f"again-{number}", keywords=("x",), draft=True))
    before = len(topics.read(settings, EVENTS))
    standing = events.events(settings)
    sent = json.loads(done(event("refresh", "--json")))
    assert sent["events"] == len(standing) >= 6
    assert len(topics.read(settings, EVENTS)) == before + len(standing)
    assert events.events(settings) == standing


def test_of_two_who_create_the_same_event_one_wins(settings: Settings, tmp_path: Path) -> None:
    args = ("event", "create", "Same Name", "--draft", "-k")
    racers = [commands.start(settings, tmp_path, *args, keyword) for keyword in ("mine", "yours")]
    ran = [commands.finish(racer) for racer in racers]
    assert sorted(one.status for one in ran) == [0, 1]
    (loser,) = (one for one in ran if one.status)
    assert loser.error == "event 'same-name' exists"
    winner = "mine" if ran[0].status == 0 else "yours"
    assert events.events(settings)["same-name"].keywords == (winner,)


def test_of_two_who_add_a_keyword_at_once_none_is_lost(settings: Settings, tmp_path: Path, event: Event) -> None:
    events.accepted(settings, events.create("edited", keywords=("x",), draft=True))
    args = ("event", "edit", "edited", "--add-keyword")
    racers = {keyword: commands.start(settings, tmp_path, *args, keyword) for keyword in ("one", "two")}
    accepted = {"x"} | {keyword for keyword, racer in racers.items() if commands.finish(racer).status == 0}
    assert len(accepted) > 1
    assert set(events.events(settings)["edited"].keywords) == accepted


def test_edits_are_made_once_each_though_the_manager_is_killed(settings: Settings, manager: Worker) -> None:
    events.accepted(settings, events.create("busy", keywords=("x",), draft=True))
    edits = [events.command("edit", "busy", definition=Definition(name=f"name {number}")) for number in range(EDITS)]

    async def edit_and_kill() -> list[Answer]:
        async with commander(settings) as sender:
            # In one go: to make them takes the manager a hundred times as long.
            await asyncio.gather(*(sender.send(edit) for edit in edits))
            answers = [await sender.answer(edit) for edit in edits[:10]]
            manager.kill()
            reached = (await read_events(settings))["busy"].version
            assert 1 < reached <= EDITS, "killed in the middle"
            manager.restart(PURGES_LONG)
            return answers + [await sender.answer(edit, 60) for edit in edits[10:]]

    answers = asyncio.run(edit_and_kill())
    assert [answer.version for answer in answers] == list(range(2, EDITS + 2))
    event = events.events(settings)["busy"]
    assert [change.changed["name"][1] for change in event.history[1:]] == [f"name {number}" for number in range(EDITS)]
    manager.wait_ready()


def test_the_same_command_twice_is_one_change(settings: Settings) -> None:
    create = events.create("twice", keywords=("x",), draft=True)
    first, second = events.told(settings, create), events.told(settings, create)
    assert first == second
    assert first.accepted
    assert events.events(settings)["twice"].version == 1


def test_kafka_away_is_one_line(event: Event, settings: Settings, tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    gone = settings.model_copy(update={"kafka": f"127.0.0.1:{nobody}"})
    wanted = f"Kafka is not reachable at {gone.kafka} (KafkaConnectionError); `starling up` starts one"
    ran = commands.run(gone, tmp_path, "event", "list")
    assert (ran.status, ran.error) == (69, wanted)
    for args in (("create", "X", "-k", "x"), ("refresh",)):
        ran = event(*args, kafka=gone.kafka)
        assert (ran.status, ran.error) == (69, wanted)
    unmade = event("list", topic_prefix="unmade-")
    assert (unmade.status, unmade.error) == (69, "Kafka has no topic unmade-events; `starling migrate` makes it")


def test_without_a_manager_the_command_may_still_be_carried_out(
    event: Event, settings: Settings, manager: Worker
) -> None:
    manager.freeze()
    try:
        ran = event("create", "Later", "-k", "x", "--draft", command_timeout=5.0)
    finally:
        manager.thaw()
    assert ran.status == 69
    assert ran.error.startswith("no answer within 5 s: the command was sent (id ")
    later = events.create("after", keywords=("x",), draft=True)
    assert events.told(settings, later).accepted
    until(lambda: "later" in events.events(settings), "the command is carried out, in another partition perhaps")
