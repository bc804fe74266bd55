"""What an event's page shows, with several workers: each figure is the sum over partitions; the newest posts."""

from __future__ import annotations

import time

from app.domain.activity import Activity, merge
from app.domain.newest import Looker, Newest, newest, of_event, replaces
from app.local.stack import Stack
from app.settings import Settings
from app.topics import NEWEST
from tests import builders
from tests.support import events, topics
from tests.support.chain import chain
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import worker

PARTITIONS = range(4)


def posts(count: int, first: int = 0) -> list[Raw]:
    """Posts of just now, all of different accounts, eight a record."""
    now = int(time.time() * 1000)
    lines = [
        builders.line(
            builders.status(
                f"the rotwasser rises #tag{number % 3}",
                id=builders.snowflake(now, sequence=number),
                user=builders.user(f"account{number % 7}"),
            )
        )
        for number in range(first, first + count)
    ]
    return [Raw(b"\n".join(lines[at : at + 8]), at // 8 % 4) for at in range(0, count, 8)]


def sum_of(settings: Settings, code: str) -> Activity:
    _, parts = topics.published(settings)
    return merge(part for key, part in parts.items() if key.rpartition("|")[0] == code)


def told(settings: Settings, code: str) -> dict[int, Newest]:
    """As a view has it."""
    found: dict[str, Newest] = {}
    for record in topics.read(settings, NEWEST):
        key = record.key.decode()
        if record.value is None:
            found.pop(key, None)
        elif key not in found or replaces(newest(record.value), found[key]):
            found[key] = newest(record.value)
    return of_event(code, found, PARTITIONS)


def test_figures_are_the_sum_of_all_workers_also_after_a_kill(stack: Stack) -> None:
    with chain(stack, "manager", "worker") as running, worker(running.settings, "worker") as second:
        settings = running.settings
        second.wait_ready()
        events.accepted(settings, events.create("flood", keywords=("rotwasser",)))
        looker = Looker()
        running.send(*posts(200))
        until(lambda: sum_of(settings, "flood").posts == 200, "all are counted")
        total = sum_of(settings, "flood")
        assert total.keywords == {"rotwasser": 200}
        assert sum(total.minutes.values()) == sum(total.accounts.values()) == 200
        assert len(total.accounts) == 7
        until(lambda: sum(part.total for part in told(settings, "flood").values()) == 200, "all are told of")
        first = looker.look(told(settings, "flood"))
        assert len(first.posts) == 40
        assert first.posts[0].matched == ("rotwasser",)
        second.kill()
        running.send(*posts(80, first=200))
        running.settle()
        until(lambda: sum_of(settings, "flood").posts == 280, "each is counted once, by whoever is left")
        until(lambda: sum(part.total for part in told(settings, "flood").values()) == 280, "and told of")
        came = looker.look(told(settings, "flood"))
        assert len(came.posts) + came.passed == 80
        assert not {post.id for post in came.posts} & {post.id for post in first.posts}
        events.accepted(settings, events.command("stop", "flood"), events.command("purge", "flood"))
        until(lambda: told(settings, "flood") == {}, "of a purged event nothing is left to be seen")
