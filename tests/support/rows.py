"""What Cassandra holds, read by the driver, and what it should hold, in the driver's form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from cassandra.cluster import EXEC_PROFILE_DEFAULT, Session
from cassandra.query import dict_factory

from app.clients.cassandra import session
from app.domain.columns import COLUMNS
from app.domain.rows import Row
from app.schema import EVENT_BUCKET, TWEET, TWEET_RAW
from app.settings import Settings

Key: TypeAlias = tuple[str, str]  # event and post
Stored: TypeAlias = dict[str, Any]

EVERYTHING = "SELECT * FROM {keyspace}."
PATIENCE = 60.0  # seconds; a loaded machine is slow, not wrong
_EPOCH = datetime(1970, 1, 1)  # the driver gives naive UTC


@contextmanager
def patient_session(settings: Settings) -> Iterator[Session]:
    """A session of a test's own, which waits longer than a worker does."""
    with session(settings.model_copy(update={"connect_timeout": PATIENCE})) as cassandra:
        yield cassandra


def query(settings: Settings, cql: str, *values: object) -> list[Stored]:
    """Rows of a query; `{keyspace}` stands for the keyspace."""
    with patient_session(settings) as cassandra:
        profile = cassandra.execution_profile_clone_update(
            EXEC_PROFILE_DEFAULT, row_factory=dict_factory, request_timeout=PATIENCE
        )
        statement = cql.format(keyspace=settings.keyspace)
        return list(cassandra.execute(statement, values or None, execution_profile=profile))


def tweets(settings: Settings) -> dict[Key, Stored]:
    """All rows of `tweet`; each post once an event, whatever its bucket."""
    found: dict[Key, Stored] = {}
    for row in query(settings, EVERYTHING + TWEET):
        key = row["event_name"], row["t_id"]
        assert key not in found, "a post stands twice in an event"
        row["matched"] = dict(row["matched"] or {})
        found[key] = row
    return found


def raw_json(settings: Settings) -> dict[Key, Stored]:
    """All rows of `tweet_raw`."""
    return {(row["event_name"], row["t_id"]): row for row in query(settings, EVERYTHING + TWEET_RAW)}


def buckets(settings: Settings) -> set[tuple[str, str]]:
    """Buckets on the lists of their events."""
    return {(row["event_name"], row["bucket"]) for row in query(settings, EVERYTHING + EVENT_BUCKET)}


def moment(milliseconds: int) -> datetime:
    """Milliseconds since 1970 as the driver reads them back."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


_READ: dict[str, Callable[[Any], Any]] = {
    "uuid": lambda value: UUID(bytes=value),
    "timestamp": moment,
}


def as_stored(row: Row) -> Stored:
    """The row as the driver reads it back."""
    return {
        name: value if value is None or kind not in _READ else _READ[kind](value)
        for (name, kind), value in zip(COLUMNS.items(), row.values, strict=True)
    }
