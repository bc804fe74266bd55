"""An event hears the past: everything that it missed, each post once, and nothing of what stands is touched."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from app.clients.kafka import admin
from app.clients.rematches import follow, read_progress
from app.domain import wishes
from app.domain.activity import Activity
from app.domain.events import Definition
from app.domain.rematch import Progress
from app.domain.wishes import Heard
from app.local.stack import Stack
from app.schema import TWEET
from app.settings import Settings
from app.topics import RAW, REMATCHES, full_name
from tests import builders
from tests.support import commands, events, rows, topics, tracking
from tests.support.chain import Chain, chain
from tests.support.patched import starling_with
from tests.support.simulator import Simulator
from tests.support.together import Running, Together
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import worker

scenarios = Together(at_once=3)
SLOW = 20.0  # posts a second: what is to happen meanwhile may take a loaded machine long
HOUR = timedelta(hours=1)
WAYS = ("origin", "event_version")


def posts(text: str, count: int, first: int = 0) -> list[Raw]:
    """Raw records of one post each, over all partitions."""
    return [
        Raw(builders.line(builders.status(text, id=builders.snowflake(sequence=first + n))), n % 4)
        for n in range(count)
    ]


def past() -> datetime:
    return datetime.now(UTC) - HOUR


def ask(running: Chain, code: str) -> int:
    """Ask for a rematch of the last hour; the version of the wish."""
    (answer,) = events.accepted(running.settings, events.command("rematch", code, rematch_since=past()))
    assert answer.version is not None
    return answer.version


def heard(running: Chain, code: str, version: int) -> Progress:
    """The end of a rematch, with all of it stored."""
    last = asyncio.run(_last(running.settings, code, version))
    running.settle()
    return last


async def _last(settings: Settings, code: str, version: int) -> Progress:
    last: Progress | None = None
    async with asyncio.timeout(120):
        async for progress in follow(settings, code, version):
            assert last is None or progress.records_done >= last.records_done
            last = progress
    assert last is not None
    return last


def now(settings: Settings, code: str) -> Progress | None:
    return asyncio.run(read_progress(settings, code))


def moved(settings: Settings, code: str, records: int = 1) -> Progress:
    """A rematch that is under way."""

    def found() -> Progress | None:
        progress = now(settings, code)
        return progress if progress is not None and progress.records_done >= records else None

    progress = until(found, "a rematch has moved", pause=0.2)
    assert not progress.over, "else the test has come too late"
    return progress


def written(settings: Settings) -> dict[tuple[str, str], Any]:
    """When each row was written last."""
    found = rows.query(settings, f"SELECT event_name, t_id, WRITETIME(origin) AS at FROM {{keyspace}}.{TWEET}")  # noqa: S608
    return {(row["event_name"], row["t_id"]): row["at"] for row in found}


def counts(running: Chain, code: str) -> Activity:
    """What is counted of an event, over its partitions."""
    parts = topics.activity(running.settings, "worker").items()
    total = Activity()
    for key, part in parts:
        if key.startswith(f"{code}|"):
            total.posts += part.posts
            for keyword, count in part.keywords.items():
                total.keywords[keyword] = total.keywords.get(keyword, 0) + count
    return total


def origins(running: Chain, code: str) -> dict[str, int]:
    """How many rows of an event came in each way."""
    found: dict[str, int] = {}
    for row in running.stored({code}).values():
        found[row["origin"]] = found.get(row["origin"], 0) + 1
    return found


def like_live(stored: dict[rows.Key, rows.Stored], code: str) -> dict[str, rows.Stored]:
    """Rows of an event by post, without what tells how they came there and for which event."""
    apart = (*WAYS, "event_name", "id")
    return {
        post: {name: value for name, value in row.items() if name not in apart}
        for (event, post), row in stored.items()
        if event == code
    }


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[Chain]:
    with chain(stack, "manager", "worker") as made:
        yield made


def test_a_new_event_hears_the_last_hour_as_if_it_had_been_there(running: Chain) -> None:
    events.accepted(running.settings, events.create("there", keywords=("lake",)))
    running.send(*posts("the lake rises", 120), *posts("no water here", 60, first=500), Raw(b"no post", 0))
    running.settle()
    letters = topics.dead_letters(running.settings)
    began = events.create("late", keywords=("lake",))
    began = events.command("create", "late", definition=began.definition, rematch_since=past())
    events.accepted(running.settings, began)
    last = heard(running, "late", 1)
    assert (last.state, last.posts, last.matched, last.sources) == ("done", 180, 120, {"test": 180})
    assert (last.records_done, last.records_all, last.kept_since) == (181, 181, None)
    assert origins(running, "late") == {"rematch": 120}
    stored = running.stored({"there", "late"})
    assert like_live(stored, "late") == like_live(stored, "there")
    assert counts(running, "late").posts == counts(running, "there").posts == 120
    assert topics.dead_letters(running.settings) == letters, "what cannot be read was buried when it came"
    running.send(*posts("the lake falls", 10, first=900))
    running.settle()
    assert origins(running, "late") == {"rematch": 120, "replay": 10}
    running.check_calm()


def test_new_keywords_add_what_was_missing_and_a_second_time_nothing(running: Chain, tmp_path: Path) -> None:
    settings = running.settings
    events.accepted(settings, events.create("grows", keywords=("river",)))
    running.send(
        *posts("the river rises", 40, first=2000),
        *posts("a bridge is shut", 40, first=3000),
        *posts("the river took the bridge", 20, first=4000),
    )
    running.settle()
    before, written_before, raw = running.stored({"grows"}), written(settings), rows.raw_json(settings)
    assert len(before) == counts(running, "grows").posts == 60
    edited = events.command("edit", "grows", definition=Definition(keywords=("river", "bridge")))
    events.accepted(settings, edited)
    ran = commands.run(settings, tmp_path, "event", "rematch", "grows", "--since", "2h")
    assert ran.status == 0, ran.err
    assert "done, since " in ran.out
    running.settle()
    after, written_after = running.stored({"grows"}), written(settings)
    assert origins(running, "grows") == {"replay": 60, "rematch": 40}
    assert {key: row for key, row in after.items() if key in before} == before
    assert {key: at for key, at in written_after.items() if key in written_before} == written_before
    assert {key: row for key, row in rows.raw_json(settings).items() if key in raw} == raw
    # The 20 that stood already keep what they were found by.
    assert (counts(running, "grows").posts, counts(running, "grows").keywords) == (100, {"river": 60, "bridge": 40})

    counted = counts(running, "grows")
    last = heard(running, "grows", ask(running, "grows"))
    assert (last.state, last.matched) == ("done", 100)
    assert running.stored({"grows"}) == after
    assert written(settings) == written_after
    assert counts(running, "grows") == counted
    running.check_calm()


SENT_NOT_TOLD = starling_with(
    """
    import asyncio, agents.rematching as rematching
    tell = rematching._Jobs._tell
    async def hang(self, progress, before):
        if progress.records_done > 100:
            await asyncio.sleep(3600)
        return await tell(self, progress, before)
    rematching._Jobs._tell = hang
    rematching.RECORDS = 40
    """
)


@scenarios.add
def a_manager_that_was_killed_is_followed_by_one_that_goes_on(stack: Stack) -> None:
    """Killed when posts were sent and stored, but not told: they are sent again, and change nothing."""
    with chain(stack, "manager", "worker", commands={"manager": SENT_NOT_TOLD}) as running:
        settings = running.settings
        running.send(*posts("water", 400))
        running.settle()
        events.accepted(settings, events.create("flood", keywords=("water",)))
        version = ask(running, "flood")
        until(lambda: counts(running, "flood").posts > 100, "more is counted than is told", pause=0.5)
        manager = running.workers["manager"]
        manager.kill()
        told = now(settings, "flood")
        assert told is not None
        assert 0 < told.posts <= 100
        assert counts(running, "flood").posts > told.posts
        manager.restart()
        manager.wait_ready()
        last = heard(running, "flood", version)
        assert (last.state, last.posts, last.matched) == ("done", 400, 400)
        assert {n: (part.start, part.stop) for n, part in last.stretches.items()} == {
            n: (part.start, part.stop) for n, part in told.stretches.items()
        }, "the stop line was drawn once"
        assert origins(running, "flood") == {"rematch": 400}
        assert counts(running, "flood").posts == 400


@scenarios.add
def live_posts_are_stored_while_a_rematch_runs_and_another_manager_takes_its_share(stack: Stack) -> None:
    with chain(stack, "manager", "worker", rematch_rate=SLOW) as running:
        settings = running.settings
        running.send(*posts("water", 600))
        running.settle()
        events.accepted(settings, events.create("flood", keywords=("water",)))
        version = ask(running, "flood")
        moved(settings, "flood")
        running.send(*posts("water", 50, first=5000))
        until(lambda: origins(running, "flood").get("replay") == 50, "live posts are stored", pause=0.2)
        moved(settings, "flood")
        with worker(settings, "manager") as second:
            second.wait_ready()
            last = heard(running, "flood", version)
        assert last.state == "done"
        assert origins(running, "flood") == {"rematch": 600, "replay": 50}
        assert counts(running, "flood").posts == 650


@scenarios.add
def what_a_rematch_hears_before_the_live_path_does_is_stored_and_counted_once(stack: Stack) -> None:
    """The classifier is behind: every post comes a second time, and later."""
    with chain(stack, "manager", "classifier", "normalizer") as running:
        settings = running.settings
        classifier = running.workers["classifier"]
        events.accepted(settings, events.create("flood", keywords=("water",)))
        topics.wait_drained(settings, "classifier")
        classifier.kill()
        running.send(*posts("water", 200))
        version = ask(running, "flood")
        assert asyncio.run(_last(settings, "flood", version)).state == "done"
        topics.wait_drained(settings, "normalizer")
        before = written(settings)
        assert origins(running, "flood") == {"rematch": 200}
        classifier.restart()
        classifier.wait_ready()
        running.send(*posts("water", 30, first=1000))
        running.settle()
        assert origins(running, "flood") == {"rematch": 200, "replay": 30}
        assert {key: at for key, at in written(settings).items() if key in before} == before
        assert running.counted() == {"flood": 230}


@scenarios.add
def an_event_that_goes_ends_its_rematch(stack: Stack) -> None:
    with chain(stack, "manager", "worker", rematch_rate=SLOW) as running:
        settings = running.settings
        running.send(*posts("water", 600))
        running.settle()
        for code in ("gone", "purged", "waits"):
            events.accepted(settings, events.create(code, keywords=("water",)))
        gone, _purged, waits = (ask(running, code) for code in ("gone", "purged", "waits"))
        moved(settings, "gone")
        events.accepted(settings, events.command("stop", "gone"), events.command("delete", "gone"))
        last = heard(running, "gone", gone)
        assert (last.state, last.why) == ("ended", "the event is deleted")
        events.accepted(settings, events.command("stop", "purged"), events.command("purge", "purged"))
        until(lambda: "purged" not in topics.newest(settings, full_name(REMATCHES, settings)), "it is forgotten")
        assert heard(running, "waits", waits).state == "done"
        assert origins(running, "waits") == {"rematch": 600}
        assert origins(running, "purged") == {}
        assert 0 < origins(running, "gone")["rematch"] < 600
        running.check_calm()


@scenarios.add
def a_rematch_waits_for_workers_that_have_enough_to_do(stack: Stack) -> None:
    careful = starling_with("import agents.rematching as it; it.MOST_WAITING, it.RECORDS = 8, 16")
    with chain(stack, "manager", "worker", commands={"manager": careful}, rematch_rate=300) as running:
        settings = running.settings
        running.send(*posts("water", 800))
        running.settle()
        killed = running.workers["worker"]
        killed.kill()
        events.accepted(settings, events.create("flood", keywords=("water",)))
        version = ask(running, "flood")

        def state() -> str:
            progress = now(settings, "flood")
            return "" if progress is None else progress.state

        until(lambda: state() == "waiting", "it waits", pause=0.3)
        before = now(settings, "flood")
        time.sleep(3)
        assert now(settings, "flood") == before
        killed.restart()
        killed.wait_ready()
        assert heard(running, "flood", version).state == "done"
        assert counts(running, "flood").posts == 800


@scenarios.add
def an_event_with_nothing_to_hear_does_not_keep_the_next_from_its_rematch(stack: Stack) -> None:
    with chain(stack, "manager", "worker") as running:
        for code in ("flood", "storm"):
            (created,) = events.accepted(
                running.settings,
                events.command(
                    "create", code, definition=Definition(name=code, keywords=(code,)), rematch_since=past()
                ),
            )
            assert created.version is not None
            assert heard(running, code, created.version).state == "done"


@scenarios.add
def where_retention_has_removed_something_it_is_said_from_when_on_it_hears(stack: Stack) -> None:
    with chain(stack, "manager", "worker") as running:
        settings = running.settings
        running.send(*posts("water", 100))
        running.settle()
        asyncio.run(_cut(settings, 10))
        events.accepted(settings, events.create("flood", keywords=("water",)))
        last = heard(running, "flood", ask(running, "flood"))
        assert (last.state, last.matched) == ("done", 60)
        assert last.kept_since is not None
        assert last.since < last.kept_since < last.until
        with tempfile.TemporaryDirectory() as state:
            shown = commands.run(settings, Path(state), "event", "show", "flood")
        assert "raw posts are kept since" in shown.out, shown


@scenarios.add
def a_process_of_all_roles_ends_calmly_in_the_middle_and_its_killed_normalizer_counts_nothing_twice(
    stack: Stack,
) -> None:
    with chain(stack, "all", rematch_rate=SLOW) as running:
        settings, every = running.settings, running.workers["all"]
        running.send(*posts("water", 800))
        running.settle()
        events.accepted(settings, events.create("flood", keywords=("water",)))
        version = ask(running, "flood")
        moved(settings, "flood")
        assert every.term() == 0
        assert every.complaints() == []
        stopped = moved(settings, "flood")
        for _ in range(2):
            every.restart()
            every.wait_ready()
            moved(settings, "flood", stopped.records_done + 100)
            every.kill()
        every.restart()
        every.wait_ready()
        assert heard(running, "flood", version).posts == 800
        assert origins(running, "flood") == {"rematch": 800}
        assert running.counted() == {"flood": 800}


@scenarios.add
def an_event_that_was_purged_and_made_again_hears_the_past_anew(stack: Stack) -> None:
    with chain(stack, "manager", "worker") as running:
        settings = running.settings
        running.send(*posts("water", 100), *posts("fire", 50, first=1000))
        running.settle()
        for keyword, count in (("water", 100), ("fire", 50)):
            definition = Definition(name="Again", keywords=(keyword,))
            made = events.command("create", "again", definition=definition, rematch_since=past())
            (answer,) = events.accepted(settings, made)
            last = heard(running, "again", answer.version or 0)
            assert (last.state, last.matched) == ("done", count)
            assert origins(running, "again") == {"rematch": count}
            assert counts(running, "again").posts == count
            events.accepted(settings, events.command("stop", "again"), events.command("purge", "again"))
            assert origins(running, "again") == {}
        running.check_calm()


def from_source(settings: Settings, code: str) -> list[Heard]:
    """What sources have done that were asked for the past of an event."""
    return wishes.heard(events.events(settings)[code], tracking.entries(settings))


def wished(settings: Settings, code: str, source: str) -> int:
    """Ask a source for the last hour; the version of the wish."""
    asked = events.command("rematch", code, rematch_since=past(), rematch_source=source)
    (answer,) = events.accepted(settings, asked)
    return answer.version or 0


def by_origin(settings: Settings, code: str) -> dict[str, set[str]]:
    """Ids of the posts of an event by the way that they came."""
    found: dict[str, set[str]] = {}
    for (name, post), row in rows.tweets(settings).items():
        if name == code:
            found.setdefault(row["origin"], set()).add(post)
    return found


def skeets(first: int, count: int, text: str) -> list[dict[str, Any]]:
    return [tracking.skeet(number, text) for number in range(first, first + count)]


def names(posts: list[dict[str, Any]]) -> set[str]:
    """Addresses of posts of Bluesky."""
    return {f"at://{post['did']}/app.bsky.feed.post/{post['commit']['rkey']}" for post in posts}


@scenarios.add
def a_new_event_hears_from_jetstream_what_a_filter_has_left_out(stack: Stack) -> None:
    """And the event beside it is given nothing of that, though it selects some of it, too."""
    with (
        Simulator("--keep-alive", "0.2") as simulator,
        chain(stack, "all", **tracking.bluesky(simulator, bluesky_filter=True)) as running,
    ):
        settings = running.settings
        events.accepted(settings, events.create("storm", keywords=("storm",)))
        simulator.wait_connected("jetstream")
        rises, both = skeets(0, 30, "the rotwasser rises"), skeets(1000, 20, "rotwasser after the storm")
        simulator.push([*rises, *skeets(2000, 30, "nothing of it"), *both])
        tracking.wait_stored(settings, "storm", names(both))
        storm = written(settings)
        events.accepted(settings, events.create("flood", keywords=("rotwasser",)))
        kept = heard(running, "flood", ask(running, "flood"))
        assert (kept.posts, kept.only_chosen) == (20, True), "what the filter has kept is all that a rematch hears"
        assert by_origin(settings, "flood") == {"rematch": names(both)}
        version = wished(settings, "flood", "bluesky")
        until(lambda: [one.state for one in from_source(settings, "flood")] == ["done"], "it is heard", 90, pause=0.5)
        tracking.wait_stored(settings, "flood", names(rises) | names(both))
        assert by_origin(settings, "flood") == {"rematch": names(rises) | names(both)}
        running.settle()
        assert running.counted()["flood"] == 50
        (told,) = from_source(settings, "flood")
        assert (told.source, told.version, told.posts) == ("bluesky", version, 50)
        assert {key: at for key, at in written(settings).items() if key in storm} == storm
        assert tracking.stored(settings, "storm") == names(both)
        again = skeets(4000, 5, "rotwasser and storm once more")
        simulator.push(again)
        tracking.wait_stored(settings, "storm", names(both) | names(again))
        assert by_origin(settings, "flood")["live"] == names(again), "what is heard live goes on"
        running.check_calm()


@scenarios.add
def a_new_event_hears_from_recent_search_what_x_was_not_asked_for(stack: Stack) -> None:
    with (
        Simulator(token=tracking.TOKEN) as simulator,
        chain(stack, "all", **tracking.x(simulator, x_search=True)) as running,
        tempfile.TemporaryDirectory() as state,
    ):
        settings = running.settings
        events.accepted(settings, events.create("storm", keywords=("storm",)))
        simulator.wait_connected()
        before = [tracking.post(number, "the rotwasser rises") for number in range(250)]
        simulator.push([*before, *(tracking.post(number, "nothing of it") for number in range(1000, 1030))])
        events.accepted(settings, events.create("flood", keywords=("rotwasser",)))
        ran = commands.run(settings, Path(state), "event", "rematch", "flood", "--since", "1h", "--source", "x")
        assert ran.status == 0, ran.err
        assert re.fullmatch(r"done, since .* from x: 250 posts found\n", ran.out), ran.out
        tracking.wait_stored(settings, "flood", {post["data"]["id"] for post in before})
        assert by_origin(settings, "flood") == {"search": {post["data"]["id"] for post in before}}
        running.settle()
        assert running.counted()["flood"] == 250
        assert tracking.stored(settings, "storm") == set()
        intervals, _ = tracking.ledger(settings)
        assert sum(sum(one.reads.values()) for one in intervals if one.wish) == 250, "they are paid for"
        running.check_calm()


@scenarios.add
def what_recent_search_may_not_be_asked_for_is_said_in_one_line(stack: Stack) -> None:
    with (
        Simulator(token=tracking.TOKEN) as simulator,
        chain(stack, "all", **tracking.x(simulator)) as running,
        tempfile.TemporaryDirectory() as state,
    ):
        settings = running.settings
        tracking.flood(settings, simulator)
        ran = commands.run(settings, Path(state), "event", "rematch", "flood", "--source", "x")
        why = "x charges for posts of the past, and STARLING_X_SEARCH is off"
        assert (ran.status, ran.out, ran.err) == (1, "", f"starling: x is not asked for the past of flood: {why}\n")
        wished(settings, "flood", "bluesky")
        until(lambda: from_source(settings, "flood")[-1].state == "refused", "it is told", 30, pause=0.5)
        shown = " ".join(commands.run(settings, Path(state), "event", "show", "flood").out.split())
        assert why in shown
        assert "the tracker does not listen to bluesky (STARLING_SOURCES)" in shown
        events.accepted(settings, events.command("pause", "flood"))
        paused = commands.run(settings, Path(state), "event", "rematch", "flood", "--source", "x")
        assert (paused.status, paused.err) == (
            1,
            "starling: event 'flood' is paused: x is asked for active events alone\n",
        )


@scenarios.add
def a_wish_whose_replay_stalls_is_not_done_before_its_posts_came(stack: Stack) -> None:
    with (
        Simulator("--keep-alive", "2") as simulator,
        chain(stack, "all", **tracking.bluesky(simulator, bluesky_filter=True)) as running,
    ):
        settings = running.settings
        events.accepted(settings, events.create("storm", keywords=("storm",)))
        simulator.wait_connected("jetstream")
        rises = skeets(0, 30, "the rotwasser rises")
        simulator.push(rises)
        simulator.push(skeets(5000, 1, "the storm is there"))
        until(lambda: tracking.stored(settings, "storm"), "all came by", pause=0.5)
        # The network is never silent.
        simulator.push(skeets(6000, 900, "nothing of it"), rate=2)
        simulator.fault("stall", wire="jetstream", later=True)
        events.accepted(settings, events.create("flood", keywords=("rotwasser",)))
        wished(settings, "flood", "bluesky")
        until(lambda: [one.state for one in from_source(settings, "flood")] == ["waiting"], "it waits", 150, pause=0.5)
        (told,) = from_source(settings, "flood")
        assert told.why == "nothing of the past has come for 60 s, though the connection lives"
        (entry,) = [one for one in tracking.ledger(settings)[0] if one.wish]
        assert (entry.until, entry.posts, tracking.stored(settings, "flood")) == (entry.since, 0, set())
        simulator.fault("clear", wire="jetstream")
        until(lambda: [one.state for one in from_source(settings, "flood")] == ["done"], "it is heard", 150, pause=0.5)
        tracking.wait_stored(settings, "flood", names(rises))
        assert by_origin(settings, "flood") == {"rematch": names(rises)}


PARTS = starling_with("import app.sources.bluesky as it; it._PART_SECONDS = 0.0")


@scenarios.add
def a_tracker_that_was_killed_is_followed_by_one_that_asks_for_the_rest(stack: Stack) -> None:
    with (
        Simulator("--keep-alive", "0.2") as simulator,
        chain(stack, "manager", "worker", **tracking.bluesky(simulator, bluesky_filter=True, rematch_rate=100)) as rest,
    ):
        settings = rest.settings
        with worker(settings, "tracker", PARTS) as tracker:
            tracker.wait_ready()
            events.accepted(settings, events.create("storm", keywords=("storm",)))
            simulator.wait_connected("jetstream")
            rises = skeets(0, 1500, "the rotwasser rises")
            simulator.push(rises)
            simulator.push(skeets(5000, 1, "the storm is there"))
            until(lambda: tracking.stored(settings, "storm"), "all came by", pause=0.5)
            events.accepted(settings, events.create("flood", keywords=("rotwasser",)))
            wished(settings, "flood", "bluesky")
            until(lambda: len(tracking.stored(settings, "flood")) > 300, "some is heard", 60, pause=0.5)
            tracker.kill()
            (told,) = from_source(settings, "flood")
            assert told.state == "running"
            assert 0 < told.posts < 1500
            tracker.restart()
            tracker.wait_ready()
            until(
                lambda: [one.state for one in from_source(settings, "flood")] == ["done"], "it is heard", 120, pause=0.5
            )
            tracking.wait_stored(settings, "flood", names(rises))
            (done,) = from_source(settings, "flood")
            assert 1500 <= done.posts < 2 * 1500, "it went on where it was"
            assert by_origin(settings, "flood") == {"rematch": names(rises)}
            rest.settle()
            assert counts(rest, "flood").posts == 1500, "each once"
            entries = [one for one in tracking.ledger(settings)[0] if one.wish]
            assert len(entries) == 1, "one entry a wish"


async def _cut(settings: Settings, before: int) -> None:
    """Remove the first records of each raw partition, as retention does."""
    name = full_name(RAW, settings)
    async with admin(settings) as client:
        await client.delete_records({TopicPartition(name, n): RecordsToDelete(before) for n in range(4)})


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
