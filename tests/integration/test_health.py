"""What a worker says of itself, and whether it is true: /healthz, /readyz, /metrics, and the end by SIGTERM."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete
from prometheus_client import Counter, Gauge, Histogram

from app import metrics
from app.clients.kafka import admin, connection
from app.clients.migrate import migrate
from app.local.stack import Stack
from app.settings import Settings
from app.topics import CLASSIFIED, RAW, full_name
from tests import builders
from tests.support import events, rows, topics
from tests.support.patched import starling_with
from tests.support.place import place
from tests.support.proxy import Proxy
from tests.support.together import Running, Together
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import Worker, worker

STALL = 3
FETCHES = 6  # seconds
STUCK = """
    import asyncio
    import agents.classification

    async def for_ever(app, records):
        await asyncio.Event().wait()

    agents.classification.send_all = for_ever
"""
STUCK_INDEX = """
    import asyncio
    import agents.indexing

    async def for_ever(self, records):
        await asyncio.Event().wait()

    agents.indexing.Indexing._work_off = for_ever
"""
# What "consumers slowly die" looks like from inside: all is well, but nothing is fetched any more.
NO_FETCH = """
    import asyncio, time
    from aiokafka.consumer.fetcher import Fetcher
    fetch = Fetcher._proc_fetch_request
    started = time.monotonic()

    async def for_a_while(self, assignment, node_id, request):
        reads = self._client._client_id.startswith("faust") and time.monotonic() > started + FETCHES
        if reads and any("raw_tweets" in topic for topic, _ in request.topics):
            await asyncio.Event().wait()
        return await fetch(self, assignment, node_id, request)

    Fetcher._proc_fetch_request = for_a_while
"""
SLOW_VIEW = """
    import asyncio
    import app.clients.view as view
    reached = view.has_reached

    async def late(consumer, ends):
        await asyncio.sleep(8)
        return await reached(consumer, ends)

    view.has_reached = late
"""
WRITES_SLOWLY = """
    import asyncio
    from app.clients.cassandra import Writer
    from cassandra.query import BatchStatement
    execute = Writer._execute

    async def slowly(self, statement, state):
        if isinstance(statement, BatchStatement):
            await asyncio.sleep(0.1)
        return await execute(self, statement, state)

    Writer._execute = slowly
"""


scenarios = Together(at_once=8)


def posts(count: int, first: int = 0) -> list[Raw]:
    return [
        Raw(builders.line(builders.status("water", id=builders.snowflake(sequence=first + n))), n % 4)
        for n in range(count)
    ]


def packed(records: list[Raw], size: int) -> list[Raw]:
    """The same posts, several a record."""
    return [
        Raw(b"\n".join(record.value or b"" for record in records[at : at + size]), at // size % 4)
        for at in range(0, len(records), size)
    ]


def reply(asked: Worker, page: str) -> tuple[int, dict[str, object]]:
    status, body = asked.get(page)
    return status, json.loads(body) if body else {}


def committed_posts(settings: Settings) -> set[str]:
    """Ids of the posts below the committed offsets."""
    committed = {tp.partition: o.committed for tp, o in topics.offsets(settings, "worker", [CLASSIFIED]).items()}
    return {
        json.loads(post)["id_str"]
        for record in topics.read(settings, CLASSIFIED)
        if record.offset < committed[record.partition]
        for post in record.value.split(b"\n")
    }


def start(settings: Settings) -> None:
    events.put_events(settings, [events.active("water", "water")])


def stored(settings: Settings) -> set[str]:
    return {post for _, post in rows.tweets(settings)}


@scenarios.add
def a_quiet_stream_is_healthy_and_ready(stack: Stack) -> None:
    """Also where a producer uses transactions: their marks leave offsets without a record, at the end too."""
    with place(stack, stall_seconds=STALL) as settings, worker(settings, "worker") as quiet:
        start(settings)
        quiet.wait_ready()
        topics.send(settings, posts(4))
        topics.wait_drained(settings, "worker")
        for number in (1, 2):
            asyncio.run(_in_transactions(settings, posts(20, first=100 * number)))
            until(lambda number=number: len(stored(settings)) == 4 + 20 * number, "all are stored")
        end = time.monotonic() + 3 * STALL
        while time.monotonic() < end:
            assert reply(quiet, "/healthz") == (200, {"healthy": True, "stalled": []})
            assert reply(quiet, "/readyz") == (200, {"ready": True, "waiting_for": []})
            time.sleep(0.5)
        assert sum(part.posts for part in topics.activity(settings, "worker").values()) == 44
        assert quiet.alive()
        assert "starling_commit_stalled 0.0" in quiet.get("/metrics")[1]


@scenarios.add
def a_topic_whose_records_have_all_expired_is_healthy(stack: Stack) -> None:
    """After a long stop what was not read is gone: there is nothing to do, and no restart would change it."""
    with place(stack, stall_seconds=STALL) as settings:
        start(settings)
        with worker(settings, "worker") as first:
            first.wait_ready()
            topics.send(settings, posts(40))
            topics.wait_drained(settings, "worker")
            first.term()
        topics.send(settings, posts(400, first=40))
        asyncio.run(_expire(settings))
        with worker(settings, "worker") as second:
            second.wait_ready()
            time.sleep(3 * STALL)
            assert reply(second, "/healthz") == (200, {"healthy": True, "stalled": []})
            topics.send(settings, posts(4, first=1000))
            topics.wait_drained(settings, "worker")
            assert len(stored(settings)) == 44
            assert second.alive()


async def _in_transactions(settings: Settings, records: list[Raw]) -> None:
    producer = AIOKafkaProducer(**connection(settings), transactional_id=settings.topic_prefix)
    async with producer:
        for record in records:
            async with producer.transaction():
                await producer.send(full_name(RAW, settings), record.value, partition=record.partition)


async def _expire(settings: Settings) -> None:
    name = full_name(RAW, settings)
    ends = await topics.ends_async(settings, name)
    async with admin(settings) as client:
        await client.delete_records(
            {TopicPartition(name, number): RecordsToDelete(end) for number, end in ends.items()}
        )


@scenarios.add
def an_agent_that_hangs_is_not_healthy(stack: Stack) -> None:
    stands_still(stack, STUCK)


@scenarios.add
def a_consumer_that_fetches_nothing_any_more_is_not_healthy(stack: Stack) -> None:
    stands_still(stack, NO_FETCH)


def stands_still(stack: Stack, fault: str) -> None:
    """Commits stand still while posts arrive; before that, there was nothing to do."""
    with place(stack, stall_seconds=STALL) as settings, worker(settings, "worker", starling_with(fault)) as stuck:
        start(settings)
        stuck.wait_ready()
        time.sleep(FETCHES + STALL)
        assert reply(stuck, "/healthz")[0] == 200, "healthy as long as there is nothing to do"
        topics.send(settings, posts(8))
        time.sleep(STALL)
        topics.send(settings, posts(8, first=8))
        status, body = until(lambda: _unhealthy(stuck), "it is seen to stand still")
        assert status == 503
        assert f"{full_name(RAW, settings)}:0" in body["stalled"]
        assert reply(stuck, "/readyz")[0] == 200, "it is ready, it only does nothing"
        until(lambda: _stalled(stuck) > 0, "the metric says so too")


@scenarios.add
def an_index_that_stands_still_is_not_healthy(stack: Stack) -> None:
    with (
        place(stack, stall_seconds=STALL) as settings,
        worker(settings, "worker") as feeding,
        worker(settings, "indexer", starling_with(STUCK_INDEX)) as stuck,
        worker(settings, "indexer") as well,
    ):
        start(settings)
        for one in (feeding, stuck, well):
            one.wait_ready()
        time.sleep(2 * STALL)
        assert reply(stuck, "/healthz") == (200, {"healthy": True, "stalled": []})
        topics.send(settings, posts(200))
        status, body = until(lambda: _unhealthy(stuck), "it is seen to stand still")
        assert status == 503
        assert all(name.startswith(full_name(CLASSIFIED, settings)) for name in body["stalled"])
        # A loaded machine may keep it from its share as long as `STALL`, but not for ever.
        fine = 200, {"healthy": True, "stalled": []}
        until(lambda: reply(well, "/healthz") == fine, "the other one is healthy beside it")
        assert _unhealthy(stuck)
        stuck.kill()
        topics.wait_drained(settings, "indexer")
        until(lambda: reply(well, "/healthz") == fine, "it is healthy with the other one's share")


def _stalled(asked: Worker) -> float:
    return figure(asked, "starling_commit_stalled") or 0


def figure(asked: Worker, name: str) -> float | None:
    """A figure on its /metrics."""
    lines = asked.get("/metrics")[1].splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), None)


def _unhealthy(asked: Worker) -> tuple[int, dict[str, list[str]]] | None:
    status, body = reply(asked, "/healthz")
    return (status, body) if status != 200 else None  # type: ignore[return-value]


@scenarios.add
def it_is_ready_only_when_the_view_is_complete_and_cassandra_answers(stack: Stack) -> None:
    with (
        place(stack) as settings,
        Proxy(settings.cassandra) as way,
        worker(settings.model_copy(update={"cassandra": way.address}), "worker", starling_with(SLOW_VIEW)) as starting,
    ):
        way.cut()
        waits: list[object] = []
        until(lambda: reply(starting, "/readyz")[0], "it answers", pause=0.05)
        while (answer := reply(starting, "/readyz"))[0] != 200:
            assert starting.alive()
            if answer[1] and answer[1]["waiting_for"] not in waits:
                waits.append(answer[1]["waiting_for"])
            if waits and "events view" not in waits[-1]:  # type: ignore[operator]
                way.mend()
            assert reply(starting, "/healthz")[0] in (0, 200)
            time.sleep(0.05)
        assert waits == [["events view", "Cassandra"], ["Cassandra"]]


@scenarios.add
def while_cassandra_is_away_offsets_stand_still_and_nothing_is_lost(stack: Stack) -> None:
    with (
        place(stack, stall_seconds=STALL) as settings,
        Proxy(settings.cassandra) as way,
        worker(settings.model_copy(update={"cassandra": way.address}), "worker") as waiting,
    ):
        start(settings)
        waiting.wait_ready()
        topics.send(settings, posts(400))
        until(lambda: len(stored(settings)) > 0, "it writes")
        way.cut()
        until_it_waits(waiting)
        before = until(lambda: _at_rest(settings), "what was written before the cut is committed")
        topics.send(settings, posts(400, first=400))
        end = time.monotonic() + 10
        while time.monotonic() < end:
            assert reply(waiting, "/healthz")[0] == 200, "a restart would not help"
            assert reply(waiting, "/readyz")[0] == 503
            time.sleep(0.5)
        after = topics.offsets(settings, "worker", [CLASSIFIED]), stored(settings)
        assert {tp: o.committed for tp, o in after[0].items()} == {tp: o.committed for tp, o in before[0].items()}
        assert after[1] == before[1]
        assert committed_posts(settings) <= after[1], "an offset moved before its rows were written"
        assert any(o.committed < o.end for o in after[0].values())
        way.mend()
        topics.wait_drained(settings, "worker")
        assert len(stored(settings)) == 800
        until(lambda: reply(waiting, "/readyz")[0] == 200, "ready again")
        assert sum(part.posts for part in topics.activity(settings, "worker").values()) == 800


def _at_rest(settings: Settings) -> tuple[dict[TopicPartition, topics.Offsets], set[str]] | None:
    """Offsets and rows, if they stay as they are for longer than a commit may be due."""
    before = topics.offsets(settings, "worker", [CLASSIFIED]), stored(settings)
    time.sleep(5)
    return before if before == (topics.offsets(settings, "worker", [CLASSIFIED]), stored(settings)) else None


@scenarios.add
def a_table_that_is_missing_is_waited_for_and_no_post_is_buried(stack: Stack) -> None:
    """Every post was taken for one that Cassandra will never take, and its offset moved."""
    with place(stack) as settings, worker(settings, "worker") as waiting:
        start(settings)
        waiting.wait_ready()
        rows.query(settings, "DROP TABLE {keyspace}.tweet_raw")
        topics.send(settings, posts(40))
        until_it_waits(waiting)
        asyncio.run(migrate(settings))
        topics.wait_drained(settings, "worker")
        assert len(stored(settings)) == 40
        assert topics.dead_letters(settings) == {}
        until(lambda: reply(waiting, "/readyz")[0] == 200, "ready again")


@scenarios.add
def on_a_quiet_stream_it_is_seen_too_that_cassandra_is_away(stack: Stack) -> None:
    """Only a write that failed told it: a worker with nothing to write said that it was ready."""
    with (
        place(stack) as settings,
        Proxy(settings.cassandra) as way,
        worker(settings.model_copy(update={"cassandra": way.address}), "worker") as quiet,
    ):
        quiet.wait_ready()
        way.cut()
        until_it_waits(quiet)
        assert reply(quiet, "/healthz")[0] == 200
        way.mend()
        until(lambda: reply(quiet, "/readyz")[0] == 200, "ready again")


def until_it_waits(asked: Worker) -> None:
    until(lambda: reply(asked, "/readyz") == (503, {"ready": False, "waiting_for": ["Cassandra"]}), "not ready")


@scenarios.add
def metrics_tell_each_figure_and_its_meaning(stack: Stack) -> None:
    ours = [each for each in vars(metrics).values() if isinstance(each, Counter | Gauge | Histogram)]
    assert len(ours) > 10
    with place(stack) as settings, worker(settings, "all") as asked:
        events.put_events(settings, [events.active("water", "water")])
        asked.wait_ready()
        topics.send(settings, [*posts(8), Raw(b"malformed"), Raw(b'{"limit": {"track": 1}}')])
        topics.wait_drained(settings, "all")
        until(lambda: figure(asked, 'starling_lag_records{role="indexer",topic="classified_tweets"}') == 0, "indexed")
        assert figure(asked, 'starling_lag_seconds{role="all",topic="raw_tweets"}') == 0
        assert figure(asked, 'starling_server_up{server="kafka"}') == 1
        assert figure(asked, 'starling_server_up{server="cassandra"}') == 1
        status, text = asked.get("/metrics")
    assert status == 200
    for metric in ours:
        (described,) = metric.describe()
        assert f"{described.name}" in text
        assert described.documentation in text
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("starling_"))
    assert figures["starling_posts_read_total"] == "8.0"
    assert figures["starling_posts_matched_total"] == "8.0"
    assert figures["starling_rows_written_total"] == "8.0"
    assert figures["starling_events_in_force"] == "1.0"
    assert figures['starling_control_messages_total{kind="limit"}'] == "1.0"
    assert figures['starling_dead_letters_total{reason="unreadable"}'] == "1.0"
    assert figures['starling_dead_letters_total{reason="too large"}'] == "0.0"


@scenarios.add
def sigterm_under_load_ends_at_once_and_loses_nothing(stack: Stack) -> None:
    """The prototype's automatic commits had moved past what was not yet stored."""
    role = "worker"
    with place(stack, batch_records=4) as settings, worker(settings, role, starling_with(WRITES_SLOWLY)) as ending:
        start(settings)
        ending.wait_ready()
        topics.send(settings, packed(posts(4000), 4))
        until(lambda: len(stored(settings)) > 100, "it is at work", pause=0.02)
        assert ending.term() == 0
        due, written = committed_posts(settings), stored(settings)
        assert due <= written, "an offset moved before its rows were written"
        assert len(written) < 4000, "else it was not under load"
        # Faust's own callbacks complain to asyncio about what was on its way when they were told to end.
        said = [entry for entry in ending.complaints() if entry.get("logger") != "asyncio"]
        assert [entry for entry in said if entry["level"] != "warning"] == []
        ending.restart()
        ending.wait_ready()
        topics.wait_drained(settings, role)
        assert len(stored(settings)) == 4000
        assert sum(part.posts for part in topics.activity(settings, role).values()) == 4000


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_health(together: Running, scenario: str) -> None:
    together[scenario].result()
