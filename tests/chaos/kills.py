"""kill -9 at any moment changes nothing of what stands in the end.

The same records go through a worker that nobody disturbs, and through workers that are killed at seeded moments while
posts flow. Rows with all their columns, raw JSON, buckets, intake, activity (table and topic) and dead letters must be
the same. Moments are chosen by progress (something was classified, counted, committed) and a little chance after it.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from msgspec.structs import replace

from app.domain.activity import TOP, Activity
from app.domain.classify import Intake
from app.domain.events import Event
from app.domain.partitioning import HOUR, MINUTE, BucketRule
from app.local.stack import Stack
from app.settings import Settings
from tests import builders
from tests.support import events, rows, topics
from tests.support.groups import Watch, evict, members
from tests.support.patched import starling_with
from tests.support.place import place
from tests.support.topics import Letter, Raw
from tests.support.waiting import until
from tests.support.workers import Worker, worker

POSTS = 20_000
LINES = 12  # of a record: small ones, so that a kill finds many of them on their way
PARTITIONS = 4
SEED = 20_26
# So slow that offsets are committed while a batch is in hand: one that was acknowledged before its time is seen then.
SLOW = starling_with("""
    import asyncio
    import agents.classification as classification
    from app.clients.cassandra import Writer
    send_all, write = classification.send_all, Writer.write

    async def slow_send(app, records):
        await asyncio.sleep(1.5)
        await send_all(app, records)

    async def slow_write(self, rows, stamp):
        await asyncio.sleep(1.5)
        return await write(self, rows, stamp)

    classification.send_all, Writer.write = slow_send, slow_write
""")
SLOW_EVERY = 4
MOMENTS = ("classified", "counted", "raw committed", "classified committed", "starting")
EVENTS = (
    events.active("flood", "water", '"lower street"'),
    events.active("spread", "water", "fire"),
    Event(
        code="busy",
        name="busy",
        keywords=("the",),
        status="active",
        buckets=(
            BucketRule(since=0, seconds=HOUR, shards=1),
            BucketRule(since=builders.POSTED_MS + 600_000, seconds=MINUTE, shards=3),
        ),
    ),
    events.active("german", "fire", languages=("de",)),
)
WORDS = (*("bridge", "a", "mill", "street lower", "firewater") * 3, "water", "fire", "the", "lower street", "#water")


@dataclass(frozen=True)
class Outcome:
    """All that stands when everything was read."""

    rows: dict[rows.Key, rows.Stored]
    raw: dict[rows.Key, rows.Stored]
    buckets: set[tuple[str, str]]
    intake: dict[int, Intake]
    activity: dict[str, Activity]
    letters: dict[str, Letter]


def flow(seed: int) -> list[Raw]:
    """Records of posts in several wire forms, malformed lines and control messages, each for a partition of its own.

    Fewer accounts and hashtags than activity keeps, so that its counts do not depend on the order of partitions.
    """
    dice = random.Random(seed)
    lines = []
    for number in range(POSTS):
        at_ms = builders.POSTED_MS + number * 50
        post_id = builders.snowflake(at_ms, number)
        text = " ".join(dice.choices(WORDS, k=4))
        who = f"account_{dice.randrange(TOP // 2)}"
        tags = (f"tag{dice.randrange(TOP // 2)}",)
        if dice.random() < 0.3:
            body = builders.v2_payload(text, id=str(post_id), created_at=builders.v2_time(at_ms))
        else:
            body = builders.status(
                text,
                id=post_id,
                user=builders.user(who),
                entities=builders.entities(hashtags=tags),
                created_at=builders.v1_time(at_ms),
                lang=dice.choice(("en", "de", "fr")),
            )
        lines.append(builders.line(body))
        if dice.random() < 0.02:
            lines.append(b"malformed %d" % number)
        if dice.random() < 0.02:
            lines.append(builders.line({"delete": {"status": {"id_str": str(post_id)}}}))
    cut = [lines[at : at + LINES] for at in range(0, len(lines), LINES)]
    return [Raw(b"\n".join(part), dice.randrange(PARTITIONS)) for part in cut]


def outcome(settings: Settings, role: str) -> Outcome:
    """What stands once everything is read; published counts may come a little later."""
    topics.wait_drained(settings, role)
    intake, activity = topics.intake(settings, role), topics.activity(settings, role)
    until(lambda: topics.published(settings) == (intake, activity), "everything counted is published", pause=0.5)
    letters = {key.removeprefix(settings.topic_prefix): letter for key, letter in topics.dead_letters(settings).items()}
    # Where a deletion stands in `classified_tweets` depends on how often what is before it was classified.
    activity = {key: replace(part, retracted_at=(-1, -1)) for key, part in activity.items()}
    return Outcome(
        rows.tweets(settings),
        rows.raw_json(settings),
        rows.buckets(settings),
        intake,
        activity,
        letters,
    )


def difference(one: Any, other: Any, name: str = "") -> Iterator[str]:
    """In words, where two outcomes differ; at most a few of each kind."""
    for field in ("rows", "raw", "buckets", "intake", "activity", "letters"):
        here, there = getattr(one, field), getattr(other, field)
        if here == there:
            continue
        if not isinstance(here, dict):
            yield f"{field}: {here} != {there}"
            continue
        yield f"{field}: {len(here.keys() - there.keys())} lost, {len(there.keys() - here.keys())} added"
        changed = [key for key in here.keys() & there.keys() if here[key] != there[key]]
        yield f"{field}: {len(changed)} changed"
        yield from (f"{field}[{key}]: {here[key]} != {there[key]}" for key in changed[:3])


@cache
def records() -> list[Raw]:
    return flow(SEED)


_reference_lock = threading.Lock()
_reference: list[Outcome] = []


def reference(stack: Stack) -> Outcome:
    """What an unkilled worker leaves; run once."""
    with _reference_lock:
        if not _reference:
            _reference.append(_undisturbed(stack))
    return _reference[0]


def _undisturbed(stack: Stack) -> Outcome:
    with place(stack, partitions=PARTITIONS) as settings:
        events.put_events(settings, EVENTS)
        topics.send(settings, records())
        with worker(settings, "worker") as alone:
            alone.wait_ready()
            left = outcome(settings, "worker")
    assert len(left.rows) > POSTS / 2, "else the test says little"
    assert len(left.letters) > 100
    lines = sum((record.value or b"").count(b"\n") + 1 for record in records())
    assert topics.total(left.intake.values()).lines == lines
    assert all(max(len(part.accounts), len(part.hashtags)) <= TOP for part in left.activity.values())
    return left


def kill_at(watch: Watch, moment: str, dice: random.Random) -> None:
    """Return at the moment: when something of it has happened, and a little later."""
    if moment == "starting":
        time.sleep(dice.uniform(0, 3))
        return
    before = watch.progress()[moment]
    until(lambda: watch.progress()[moment] > before, f"progress of {moment}", 60, pause=0.005)
    time.sleep(dice.uniform(0, 0.3))


def disturbed(settings: Settings, role: str, kills: int, seed: int, victims: int) -> tuple[Outcome, list[int]]:
    """What killed workers leave, and how much was unread at each kill."""
    dice = random.Random(seed)
    events.put_events(settings, EVENTS)
    chunk = len(records()) // (kills + 1) + 1
    unread = []
    with Watch(settings, role) as watch:
        workers = [Worker(settings, role) for _ in range(victims)]
        try:
            for number in range(kills):
                topics.send(settings, records()[number * chunk : (number + 1) * chunk])
                was_slow = number % SLOW_EVERY == 1
                moment = "classified committed" if was_slow else MOMENTS[number % len(MOMENTS)]
                kill_at(watch, moment, dice)
                victim = dice.choice(workers)
                assert victim.alive(), f"it died before it was killed\n{victim.log[-4000:]}"
                dead = asyncio.run(members(settings, role)) if victims == 1 else set()
                victim.kill()
                unread.append(watch.unread())
                victim.restart(SLOW if (number + 1) % SLOW_EVERY == 1 else None)
                if dead:
                    asyncio.run(evict(settings, role, dead))
            topics.send(settings, records()[kills * chunk :])
            for started in workers:
                started.wait_ready()
            left = outcome(settings, role)
            print(
                "warnings:",
                sorted({str(entry["event"])[:100] for started in workers for entry in started.complaints()}),
            )
            return left, unread
        finally:
            for started in workers:
                if started.alive():
                    started.kill()


def compare(stack: Stack, role: str, kills: int, victims: int) -> None:
    """Run it with kills and without, and find no difference."""
    seed = SEED + kills + victims
    with place(stack, partitions=PARTITIONS) as settings:
        left, unread = disturbed(settings, role, kills, seed, victims)
    print(f"{role}, {victims} of it, seed {seed}; unread at each kill: {unread}")
    assert sum(count > 0 for count in unread) > kills / 2, "else the kills have found nothing under way"
    differences = list(difference(reference(stack), left))
    assert not differences, f"seed {seed}: " + "\n".join(differences)


def twenty_kills_of_a_worker_change_nothing(stack: Stack) -> None:
    compare(stack, "worker", 20, 1)


def kills_of_a_process_with_all_roles_change_nothing(stack: Stack) -> None:
    compare(stack, "all", 4, 1)


def kills_of_one_of_two_workers_change_nothing(stack: Stack) -> None:
    """Here the dead one is noticed by its session's end, and the other one takes over."""
    compare(stack, "worker", 4, 2)
