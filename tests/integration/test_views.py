"""Events as the workers see them: all before the first post is classified, and every change while posts flow."""

from __future__ import annotations

from zlib import crc32

import pytest

from app.domain.events import Definition, Event
from app.local.stack import Stack
from tests import builders
from tests.support import events, rows, topics
from tests.support.chain import Chain, chain
from tests.support.patched import starling_with
from tests.support.place import place
from tests.support.together import Running, Together
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import worker

COUNT = 1000
# A view reads without a group, at most so much at a time: 1,000 events take it some seconds.
SLOW_VIEW = """
    import asyncio
    from aiokafka import AIOKafkaConsumer
    getmany = AIOKafkaConsumer.getmany

    async def slowly(self, *partitions, timeout_ms=0, max_records=None):
        if self._group_id is None:
            await asyncio.sleep(0.4)
            max_records = 60
        return await getmany(self, *partitions, timeout_ms=timeout_ms, max_records=max_records)

    AIOKafkaConsumer.getmany = slowly
"""
# However long the worker takes to start, it classifies something before its view holds an event.
NO_WAIT = """
    import agents.classification
    from app.clients.view import View

    async def at_once(self):
        return None

    View.wait_complete = at_once
    classify, classified = agents.classification.classify, asyncio.Event()

    def noted(*arguments):
        classified.set()
        return classify(*arguments)

    async def later(self, *partitions, **limits):
        if any(partition.topic.endswith("-events") for partition in self.assignment()):
            await classified.wait()
        return await slowly(self, *partitions, **limits)

    agents.classification.classify = noted
    AIOKafkaConsumer.getmany = later
"""


def many_events() -> list[Event]:
    return [events.active(f"event-{number}", f"word{number}") for number in range(COUNT)]


def retained() -> list[Raw]:
    """A post for each event, eight a record."""
    lines = [
        builders.line(builders.status(f"of word{number}", id=builders.snowflake(sequence=number)))
        for number in range(COUNT)
    ]
    return [Raw(b"\n".join(lines[at : at + 8]), at % 4) for at in range(0, COUNT, 8)]


scenarios = Together(at_once=3)


@scenarios.add
def a_new_group_classifies_nothing_before_it_knows_all_events(stack: Stack) -> None:
    """Each of the retained posts belongs to one of 1,000 events."""
    found, wanted = stored_by_a_new_group(stack, SLOW_VIEW)
    assert found == wanted


@scenarios.add
def without_the_wait_it_misses_posts(stack: Stack) -> None:
    """Else the scenario above would say nothing."""
    found, wanted = stored_by_a_new_group(stack, SLOW_VIEW + NO_WAIT)
    assert found < wanted


def stored_by_a_new_group(stack: Stack, patch: str) -> tuple[set[rows.Key], set[rows.Key]]:
    """Rows found, and rows wanted."""
    with place(stack) as settings:
        events.put_events(settings, many_events())
        topics.send(settings, retained())
        with worker(settings, "worker", starling_with(patch)) as starting:
            topics.wait_drained(settings, "worker")
            assert starting.alive()
        found = set(rows.tweets(settings))
        wanted = {(f"event-{number}", str(builders.snowflake(sequence=number))) for number in range(COUNT)}
        assert topics.total(topics.intake(settings, "worker").values()).posts == COUNT
    return found, wanted


@scenarios.add
def edits_and_pauses_take_effect_while_posts_flow(stack: Stack) -> None:
    with chain(stack, "all") as running:
        events.accepted(running.settings, events.create("moving", keywords=("before",)))
        _until_stored(running, "before", True)
        events.accepted(running.settings, events.command("pause", "moving"))
        _until_stored(running, "before", False)
        changed = Definition(keywords=("after",))
        events.accepted(
            running.settings,
            events.command("resume", "moving"),
            events.command("edit", "moving", definition=changed),
        )
        _until_stored(running, "after", True)
        _until_stored(running, "before", False)
        versions = {row["t_text"]: row["event_version"] for row in running.stored({"moving"}).values()}
        assert versions == {"before": 1, "after": 4}
        keywords = {row["t_text"]: row["event_kw"] for row in running.stored({"moving"}).values()}
        assert keywords["after"] == "after"


def _until_stored(running: Chain, text: str, wanted: bool) -> None:
    """Send posts until one of them is stored, or is not."""
    sequence = iter(range(1_000_000))

    def as_wanted() -> bool:
        post_id = str(
            builders.snowflake(builders.POSTED_MS + 1000 * crc32(f"{text} {wanted}".encode()) % 10**9, next(sequence))
        )
        running.send(Raw(builders.line(builders.status(text, id=int(post_id)))))
        running.settle()
        return (("moving", post_id) in running.stored({"moving"})) is wanted

    until(as_wanted, f"{text!r} is {'' if wanted else 'not '}stored")


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_views(together: Running, scenario: str) -> None:
    together[scenario].result()
