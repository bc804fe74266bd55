"""Quix Streams as it is meant to be used: bytes in, `apply(expand=True)`, at-least-once, a commit a second as ours."""

from __future__ import annotations

from typing import Any

from quixstreams import Application
from quixstreams.models import Serializer

from app.topics import MAX_RECORD_BYTES
from benchmarks.contestants.job import Job


def application(given: Job) -> Application:
    """The application of a job. Everything not said is Quix's default."""
    return Application(
        broker_address=given.kafka,
        consumer_group=given.group,
        auto_offset_reset="earliest",
        processing_guarantee="at-least-once",
        commit_interval=1.0,
        auto_create_topics=False,
        use_changelog_topics=False,
        loglevel="WARNING",
        consumer_extra_config={
            "fetch.message.max.bytes": 4 * 1024 * 1024,
            "queued.max.messages.kbytes": 65536,
        },
        producer_extra_config={
            "compression.type": "zstd",
            "linger.ms": 5,
            "batch.size": 1024 * 1024,
            "message.max.bytes": MAX_RECORD_BYTES,
        },
    )


def raw_stream(app: Application, given: Job) -> Any:
    """The raw records, as bytes."""
    return app.dataframe(app.topic(given.raw_topic, key_deserializer="bytes", value_deserializer="bytes"))


class Second(Serializer):
    """Serializes a tuple (key, value, …) as its value."""

    def __call__(self, value: tuple[Any, bytes], ctx: object) -> bytes:
        return value[1]
