"""Each role starts, is ready, and ends by SIGTERM without a complaint; two of the same work do not run together."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from app.clients.kafka import admin
from app.clients.migrate import Migrated, migrate
from app.domain.events import Definition
from app.errors import NOT_REACHABLE
from app.local.server import free_ports
from app.local.stack import Stack
from app.roles import Role, tables
from app.settings import Settings
from app.topics import EVENT_RESULTS, EVENTS, MAX_RECORD_BYTES, RAW, full_name
from cli.worker import CUT_OFF
from tests import builders
from tests.support import events, groups, rows, topics
from tests.support.api import SECRET, api
from tests.support.patched import starling_with
from tests.support.place import environment, place
from tests.support.together import Running, Together
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import STARLING, Worker, worker

scenarios = Together(at_once=4)


@scenarios.add
def each_role_starts_and_ends_cleanly(stack: Stack) -> None:
    with place(stack) as settings:
        for role in Role:
            with worker(settings, role) as process:
                process.wait_ready()
                if tables(role):
                    until_it_has_joined(process)
                assert process.get("/healthz")[0] == 200
                assert process.term() == 0
                assert process.complaints() == []


def until_it_has_joined(process: Worker) -> None:
    until(lambda: 'operation="completed"}' in process.get("/metrics")[1], "it has partitions")


@scenarios.add
def a_role_is_refused_beside_one_that_does_its_work(stack: Stack) -> None:
    with place(stack) as settings, worker(settings, Role.WORKER) as process:
        until_it_has_joined(process)
        refused = _starling(settings, "worker", "--role", "all")
        assert refused.returncode == 1
        assert "role all would do the work of role worker a second time" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


# As if the rival had joined its group between this process's look and its own joining.
BLIND_BEFORE_JOINING = """
    import app.preflight as preflight
    look = preflight._check_rivals
    looks = []

    async def second_only(client, role, settings, **how):
        looks.append(role)
        if len(looks) > 1:
            await look(client, role, settings, **how)

    async def nothing_yet(client, role, settings):
        pass

    preflight._check_rivals = second_only
    preflight._check_place = nothing_yet
"""


@scenarios.add
def of_rivals_that_start_at_the_same_moment_the_one_that_does_more_ends(stack: Stack) -> None:
    """And has done nothing: it decided on all commands once more, for some 10 seconds, before it gave up."""
    with place(stack) as settings:
        with worker(settings, Role.MANAGER) as first:
            first.wait_ready()
            events.accepted(settings, events.create("once", keywords=("x",)))
            with worker(settings, Role.ALL, starling_with(BLIND_BEFORE_JOINING)) as late:
                assert late.process.wait(180) == 1
                (said,) = [entry for entry in late.complaints() if entry["event"] == "worker gives up"]
                assert "role all would do the work of role manager a second time" in said["why"]
            assert first.alive()
        assert len([record for record in topics.read(settings, EVENTS) if record.key == b"once"]) == 1
        assert len(topics.read(settings, EVENT_RESULTS)) == 1


@scenarios.add
def a_role_goes_on_where_another_that_did_its_work_has_ended(stack: Stack) -> None:
    """It began at the start, with empty tables: old commands were carried out again, purges too."""
    with place(stack) as settings:
        with worker(settings, Role.ALL) as everything:
            everything.wait_ready()
            events.accepted(settings, events.create("old", keywords=("old",)))
            events.accepted(settings, events.command("stop", "old"), events.command("purge", "old"))
            events.accepted(settings, events.create("old", keywords=("water",)))
            topics.send(settings, [_post(number) for number in range(40)])
            topics.wait_drained(settings, "all")
            assert everything.term() == 0
        version = events.events(settings)["old"].version
        for role in (Role.MANAGER, Role.WORKER):
            refused = _starling(settings, "worker", "--role", role)
            assert refused.returncode == 1
            assert f"`starling migrate --role {role}` lets role {role} go on where it ended" in refused.stderr
        moved = _starling(settings, "migrate", "--role", "manager", "--role", "worker")
        assert moved.returncode == 0, moved.stderr
        assert "role manager goes on where the last one ended\nrole worker goes on" in moved.stdout
        again = _starling(settings, "migrate", "--role", "manager", "--role", "worker", "--json")
        assert json.loads(again.stdout)["roles"] == []
        with worker(settings, Role.MANAGER) as manager, worker(settings, Role.WORKER) as working:
            working.wait_ready()
            manager.wait_ready()
            edited = events.command("edit", "old", definition=Definition(name="edited"))
            assert events.accepted(settings, edited)[0].version == version + 1
            topics.send(settings, [_post(number) for number in range(40, 60)])
            topics.wait_drained(settings, "worker")
            assert topics.total(topics.intake(settings, "worker").values()).posts == 60, "and nothing was read twice"
            assert sum(part.posts for part in topics.activity(settings, "worker").values()) == 60
            assert len(rows.tweets(settings)) == 60


@scenarios.add
def partitions_do_not_grow_under_a_worker(stack: Stack) -> None:
    """It did not notice, left half of the posts unread, said it was healthy, and crashed minutes later."""
    with place(stack) as settings:
        more = settings.model_copy(update={"partitions": 6})
        with worker(settings, Role.WORKER) as reading:
            until_it_has_joined(reading)
            refused = _starling(more, "migrate")
            assert refused.returncode == 1
            assert "role worker has 1 running; stop those first" in refused.stderr
            assert reading.term() == 0
        with worker(settings, Role.MANAGER) as managing:  # reads no posts; on Kubernetes there is always one
            until_it_has_joined(managing)
            grown = _starling(more, "migrate")
        assert grown.returncode == 0, grown.stderr
        assert f"grew topic {settings.topic_prefix}raw_tweets" in grown.stdout
        assert "retention" not in grown.stdout
        shorter = more.model_copy(update={"raw_retention_hours": 6})
        kept = _starling(shorter, "migrate")
        assert kept.stdout == f"changed retention of topic {settings.topic_prefix}raw_tweets\n"
        assert _starling(shorter, "migrate").stdout == "topics and schema are up to date\n"
        own = asyncio.run(_configured(shorter))
        assert own == {
            "retention.ms": "21600000",
            "max.message.bytes": str(MAX_RECORD_BYTES),
            "cleanup.policy": "delete",
        }
        shrunk = _starling(settings, "migrate")
        assert shrunk.returncode == 1
        assert "has 6 partitions, the settings say 4, and topics do not shrink" in shrunk.stderr


@scenarios.add
def copies_become_as_many_as_the_setting_says(stack: Stack) -> None:
    with place(stack) as settings:
        with rows.patient_session(settings) as cassandra:
            simple = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
            cassandra.execute(f"ALTER KEYSPACE {settings.keyspace} WITH replication = {simple}", timeout=60)
        assert asyncio.run(migrate(settings)) == Migrated(), (
            "the setting is not set: what stands may be somebody's wish"
        )
        one, two = (settings.model_copy(update={"cassandra_replication": copies}) for copies in (1, 2))
        changed = asyncio.run(migrate(one))
        first = "SimpleStrategy (replication_factor 1) to NetworkTopologyStrategy (datacenter1 1)"
        # Of several nodes others may have the copies now.
        assert changed == Migrated(replication=[f"{settings.keyspace} from {first}"], repair=[settings.keyspace])
        with rows.patient_session(settings) as cassandra:
            ((stands,),) = cassandra.execute(
                "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s", [settings.keyspace]
            )
        assert stands == {"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "datacenter1": "1"}
        assert asyncio.run(migrate(one)) == Migrated(), "nothing a second time"
        more = _starling(two, "migrate")
        assert more.returncode == 0, more.stderr
        alteration, repair = more.stdout.splitlines()
        assert alteration.endswith(
            " from NetworkTopologyStrategy (datacenter1 1) to NetworkTopologyStrategy (datacenter1 2)"
        )
        assert repair.startswith(f"run `nodetool repair -full {settings.keyspace}` on every node: ")
        fewer = asyncio.run(migrate(one))
        assert (len(fewer.replication), fewer.repair) == (1, [])
        refused = _starling(settings.model_copy(update={"keyspace": "system"}), "migrate")
        said = "System keyspace 'system' is not user-modifiable"
        assert (refused.returncode, refused.stderr) == (1, f"starling: Cassandra refused the schema: {said}\n")


async def _configured(settings: Settings) -> dict[str, str]:
    """What the broker was told of the topic of raw posts."""
    async with admin(settings) as client:
        (answer,) = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, full_name(RAW, settings))])
    ((_, _, _, _, entries),) = answer.resources
    return {name: value for name, value, _, source, *_ in entries if source == 1}


NEVER_STOPS = """
    import asyncio
    import cli.worker as worker

    async def for_ever(self):
        await asyncio.Event().wait()

    worker._PromptWorker.stop = for_ever
"""
SOON = "    worker.STOP_SECONDS = 3.0\n"
SPEECHLESS = "    worker.whereabouts = None\n"


@scenarios.add
def a_worker_that_comes_to_no_end_is_cut_off(stack: Stack) -> None:
    """While Kafka is away, Faust waits for more than a minute, and Kubernetes kills after 30 seconds."""
    with place(stack) as settings:
        with worker(settings, Role.WORKER, starling_with(NEVER_STOPS + SOON)) as slow:
            slow.wait_ready()
            assert slow.term() == CUT_OFF
            assert "Kafka does not answer" in slow.log
            assert "for_ever" in slow.log, "it tells what it waits for"
        with worker(settings, Role.WORKER, starling_with(NEVER_STOPS + SOON + SPEECHLESS)) as speechless:
            speechless.wait_ready()
            assert speechless.term() == CUT_OFF
        with worker(settings, Role.WORKER, starling_with(NEVER_STOPS)) as twice:
            twice.wait_ready()
            twice.process.send_signal(signal.SIGINT)
            time.sleep(1)
            assert twice.term() == CUT_OFF
            assert "told twice to stop" in twice.log


@scenarios.add
def a_request_that_comes_to_no_end_does_not_hold_up_a_stop(stack: Stack) -> None:
    with place(stack, token_secret=SECRET) as settings, worker(settings, Role.MANAGER) as process:
        process.wait_ready()
        asked = (
            "POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {api(process).token}\r\nContent-Length: 500\r\n\r\n{{"
        )
        with socket.create_connection(("127.0.0.1", process.port)) as connection:
            connection.sendall(asked.encode())
            connection.settimeout(1)
            with pytest.raises(TimeoutError):  # it reads the body, and has not answered
                connection.recv(1)
            assert process.term() == 0
        assert process.complaints() == []


# Kafka does not say where a worker was, and its patience is short.
NEVER_SOUGHT = """
    import asyncio
    from faust.tables.recovery import Recovery
    from faust.transport.consumer import Consumer
    wait = Recovery._wait

    async def wait_shortly(self, coro, timeout=None):
        await wait(self, coro, timeout and 2.0)

    async def never(consumer):
        await asyncio.Event().wait()

    Recovery._wait = wait_shortly
    Consumer.perform_seek = never
"""


@scenarios.add
def a_worker_that_does_not_hear_where_it_was_ends(stack: Stack) -> None:
    with place(stack) as settings, worker(settings, Role.WORKER, starling_with(NEVER_SOUGHT)) as process:
        assert process.process.wait(180) == NOT_REACHABLE
        assert "Kafka has not answered within" in process.log


# A fetch of the client that Faust reads by has failed, and waits to be tried again, as the client is closed.
FETCH_TO_BE_TRIED_AGAIN = """
    import asyncio
    import threading
    from aiokafka.consumer.fetcher import Fetcher
    close = Fetcher.close

    async def close_with_one(self):
        if threading.current_thread() is not threading.main_thread():
            self._pending_tasks.add(asyncio.ensure_future(asyncio.sleep(60)))
            await asyncio.sleep(0)
        await close(self)

    Fetcher.close = close_with_one
"""


@scenarios.add
def a_worker_whose_fetch_failed_as_it_is_stopped_ends_calmly(stack: Stack) -> None:
    with place(stack) as settings, worker(settings, Role.WORKER, starling_with(FETCH_TO_BE_TRIED_AGAIN)) as process:
        process.wait_ready()
        until_it_has_joined(process)
        assert process.term() == 0
        assert process.complaints() == []


# Its recovery comes to its end at the moment at which it is told to stop.
RECOVERED_AS_IT_STOPS = """
import asyncio
from faust.transport.consumer import Consumer

async def perform_seek(consumer):
    print('{"level": "info", "event": "all but recovered"}', flush=True)
    while not consumer.app.tables.recovery.should_stop:
        await asyncio.sleep(0)

Consumer.perform_seek = perform_seek
"""


@scenarios.add
def a_worker_that_is_stopped_as_it_has_recovered_ends_calmly(stack: Stack) -> None:
    command = starling_with(RECOVERED_AS_IT_STOPS)
    with place(stack) as settings, worker(settings, Role.MANAGER, command) as process:
        until(lambda: "all but recovered" in process.log, "it recovers")
        assert process.term() == 0
        assert process.complaints() == []


# Posts are on their way to Cassandra, which answers slowly; the next ones come meanwhile.
WRITES_SLOWLY = """
    import asyncio
    from app.clients.cassandra import Writer
    from cassandra.query import BatchStatement
    execute = Writer._execute

    async def slowly(self, statement, state):
        if isinstance(statement, BatchStatement):
            print('{"level": "info", "event": "on its way"}', flush=True)
            await asyncio.sleep(2)
        return await execute(self, statement, state)

    Writer._execute = slowly
"""


@scenarios.add
def a_worker_that_is_stopped_as_it_writes_finishes_and_ends_calmly(stack: Stack) -> None:
    with (
        place(stack, batch_records=1) as settings,
        worker(settings, Role.WORKER, starling_with(WRITES_SLOWLY)) as process,
    ):
        events.put_events(settings, [events.active("flood", "flood")])
        process.wait_ready()
        posts = [builders.line(builders.status("flood", id_str=str(number))) for number in range(1, 6)]
        topics.send(settings, [Raw(post, 0) for post in posts])
        until(lambda: "on its way" in process.log, "the first post is under way")
        assert process.term() == 0
        assert process.complaints() == []
        assert rows.tweets(settings), "the post on its way has come there"


NEVER_ANSWERED = """
    import asyncio
    import app.clients.cassandra as cassandra
    from cassandra.connection import ConnectionShutdown

    async def answer(connected, statement, state):
        print('{"level": "info", "event": "on its way"}', flush=True)
        while not connected.is_shutdown:
            await asyncio.sleep(0)
        raise ConnectionShutdown("the connection was ended")

    cassandra.ANSWERED_SECONDS, cassandra.answer = 1.0, answer
"""


@scenarios.add
def a_worker_that_cassandra_does_not_answer_ends_calmly(stack: Stack) -> None:
    """It has not failed, and whoever restarts it shall not be told so."""
    with place(stack) as settings, worker(settings, Role.WORKER, starling_with(NEVER_ANSWERED)) as process:
        events.put_events(settings, [events.active("flood", "flood")])
        process.wait_ready()
        topics.send(settings, [Raw(builders.line(builders.status("flood")), 0)])
        until(lambda: "on its way" in process.log, "a post is under way")
        assert process.term() == 0
        assert process.complaints() == []


# It stops until its group has come to terms; within the time that it is given.
OVERTAKEN = """
import asyncio
import cli.worker
from app.faustapp import App

cli.worker.STOP_SECONDS = 120
ends, answers, came = App.on_stop, App._on_rebalance_when_stopped, asyncio.Event()

async def on_stop(app):
    await ends(app)
    await came.wait()

def answer(app):
    answers(app)
    came.set()

App.on_stop, App._on_rebalance_when_stopped = on_stop, answer
"""


@scenarios.add
def a_worker_whose_stop_is_overtaken_by_a_rebalance_leaves_its_group_calmly(stack: Stack) -> None:
    """Else its partitions stand still until its session has ended."""
    with place(stack, session_timeout=60) as settings, worker(settings, Role.MANAGER) as stays:
        until_it_has_joined(stays)
        remaining = asyncio.run(groups.members(settings, Role.MANAGER))
        stays.freeze()
        with worker(settings, Role.MANAGER, starling_with(OVERTAKEN)) as leaves:
            until(
                lambda: len(asyncio.run(groups.members(settings, Role.MANAGER))) > len(remaining),
                "it waits for the frozen one to agree",
            )
            leaves.process.terminate()
            until(lambda: "App]: Stopping" in leaves.log, "it has heard that it is to stop")
            stays.thaw()
            assert leaves.process.wait(180) == 0
            assert asyncio.run(groups.members(settings, Role.MANAGER)) == remaining
            assert leaves.complaints() == []


def _post(number: int) -> Raw:
    return Raw(builders.line(builders.status("water", id=builders.snowflake(sequence=number))), number % 4)


def _starling(settings: Settings, *args: str) -> subprocess.CompletedProcess[str]:
    (port,) = free_ports(1)
    given = os.environ | environment(settings) | {"STARLING_WEB_PORT": str(port)}
    return subprocess.run([STARLING, *args], env=given, capture_output=True, text=True, timeout=180, check=False)


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_roles(together: Running, scenario: str) -> None:
    together[scenario].result()
