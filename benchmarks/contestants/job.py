"""What a contestant is told, and the parts that several share."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from app.domain.events import Event
from app.domain.matcher import Matcher
from app.settings import Settings


class Job(Struct):
    """Written to a file by the measurement, read by the contestant."""

    kafka: str
    cassandra: str
    prefix: str
    keyspace: str
    group: str
    raw_topic: str
    classified_topic: str
    events: list[Event]
    mode: str = ""
    url: str = ""  # of the server to listen to

    @property
    def settings(self) -> Settings:
        """Starling's settings for its stack."""
        return Settings.model_validate(
            {
                "kafka": self.kafka,
                "cassandra": self.cassandra,
                "topic_prefix": self.prefix,
                "keyspace": self.keyspace,
            }
        )

    def matcher(self) -> Matcher:
        """Starling's matcher over its events."""
        return Matcher(self.events)


def job() -> Job:
    """The job whose file is the first argument."""
    return msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Job)


def tune() -> None:
    """Collect garbage as rarely as Starling's worker does (`cli.worker`)."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
