"""The only place that makes a Faust app. Each setting that is not Faust's default has its reason here."""

from __future__ import annotations

import asyncio
from typing import Any

import faust
from aiohttp import web
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport

from app.clients.kafka import end_fetches, ssl_context
from app.recovering import Tables
from app.roles import Role, app_id
from app.settings import Settings
from app.topics import MAX_DERIVED_BYTES, MAX_RECORD_BYTES

IDLE_SECONDS = 75.0  # of a connection to the web server without a whole request; longer than proxies keep one
# For requests that are not answered when a process stops, which has 15 for all of it. aiohttp waits for so long, tells
# those that read their body, and waits as long again.
ANSWERED_SECONDS = 2.0


class App(faust.App):
    """A Faust app with what its agents share.

    They take nothing before `may_work` is set: when it is known that nobody else does their work. `in_hand` counts the
    batches that are being worked on; while there are any, a full buffer may hold up the other agents' records too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.may_work = asyncio.Event()
        self.in_hand = 0

    def owned(self, topic: str) -> set[int]:
        """Partitions of a topic that are assigned to this process now."""
        return {partition.partition for partition in self.consumer.assignment() if partition.topic == topic}

    def _new_transport(self) -> Transport:
        found = super()._new_transport()
        found.Consumer = _Consumer
        return found

    def _on_rebalance_when_stopped(self) -> None:
        """Take nothing of a rebalance that overtakes a stop; the consumer leaves the group when its turn to stop comes.

        Faust's own cuts the connection here, from a thread that does not own it: the process cannot leave its group
        any more, its partitions stand still until its session ends, and an ordinary stop logs errors.
        """
        self.consumer.stop_flow()


class _Consumer(Consumer):
    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class _ConsumerThread(AIOKafkaConsumerThread):
    async def on_thread_stop(self) -> None:
        """Stop the client.

        aiokafka cancels its fetches and awaits each: one that waits to be tried again ends by CancelledError, and so
        does this. Faust then never hears that its thread has ended, and waits for a minute.
        """
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            if self._consumer is not None:
                await end_fetches(self._consumer)


def make_app(role: Role, settings: Settings) -> App:
    """The Faust app of a role, without agents yet."""
    app = _app(role, settings)
    # Faust makes it without; aiohttp then keeps a connection for an hour by which nobody asks anything, and at a stop
    # waits for up to two minutes for requests that come to no end.
    app.web._runner = web.AppRunner(
        app.web.web_app, access_log=None, keepalive_timeout=IDLE_SECONDS, shutdown_timeout=ANSWERED_SECONDS
    )
    return app


def _app(role: Role, settings: Settings) -> App:
    return App(
        app_id(role, settings),
        broker=[f"kafka://{server}" for server in settings.kafka.split(",")],
        broker_credentials=_credentials(settings),
        version=1,
        autodiscover=False,
        origin="app",
        # Bytes in, bytes out: what Faust cannot decode it acknowledges and drops; agents decode, and bury it.
        key_serializer="raw",
        value_serializer="raw",
        TableManager=Tables,
        store="memory://",  # tables are small; recovery reads the compacted changelog
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_allow_declare=False,  # `starling migrate` makes topics; a worker needs no right to
        topic_disable_leader=True,  # nothing here runs on a Faust leader
        # A killed worker's partitions stand still for this long (60 s by default).
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=min(3.0, settings.session_timeout / 3),
        broker_rebalance_timeout=60,
        broker_request_timeout=90,  # must exceed the session time-out
        broker_commit_interval=1,
        broker_commit_every=1000,
        # A record may hold 300 kB: 50 of them and one compressed MB a partition are what a worker holds unread.
        broker_max_poll_records=50,
        consumer_max_fetch_size=1024 * 1024,
        consumer_auto_offset_reset="earliest",
        # Records hold many posts: a few hundred of them in memory are plenty, and back-pressure starts early.
        stream_buffer_maxsize=32,
        stream_wait_empty=False,  # True hangs at SIGTERM while the sink is away
        stream_processing_timeout=24 * 3600,  # a warning only, and wrong while Cassandra is awaited; /healthz watches
        producer_acks=-1,
        producer_linger=0.005,
        producer_max_batch_size=1024 * 1024,
        producer_max_request_size=MAX_DERIVED_BYTES,
        producer_compression_type="zstd",  # 7 µs a post and a seventh of the size; aiokafka's lz4 is level 9, 44 µs
        # An agent that fails must not be started again on the same stream: that skips what it held. The process
        # ends without acknowledging and its supervisor starts it anew.
        agent_supervisor="mode.CrashingSupervisor",
        table_standby_replicas=0,
        web_enabled=True,
        web_bind=settings.web_host,
        web_port=settings.web_port,
        web_in_thread=False,
        # Faust's own pages serve table data to anyone.
        web_tables_enabled=False,
        web_router_enabled=False,
        web_stats_enabled=False,
        web_graph_enabled=False,
        web_application_options={"client_max_size": MAX_RECORD_BYTES},  # each route has a lower limit of its own
        debug=False,
        logging_config=None,
        loghandlers=[],
    )


def _credentials(settings: Settings) -> Any:
    context = ssl_context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            mechanism=settings.kafka_sasl_mechanism,
            username=settings.kafka_username,
            password=settings.kafka_password.get_secret_value() if settings.kafka_password else None,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context else None
