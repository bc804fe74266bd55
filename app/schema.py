"""The Cassandra schema, made from the one list of columns.

A post's row and its raw JSON share their partition key, so both travel in one mutation. Rows are found by
(event, bucket); `event_bucket` lists the buckets of an event by one query, and an index on the first key component
lets the thesis's `WHERE event_name = ?` answer. Posts are searched by `post_index`, whose terms have an index of
Cassandra's: it is asked bucket by bucket, so that a search reads no more than the buckets it comes through.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.columns import COLUMNS
from app.settings import Settings

TWEET, TWEET_RAW, EVENT_BUCKET, COVERAGE, OUTAGE = "tweet", "tweet_raw", "event_bucket", "coverage", "outage"
POST_INDEX, ANNOTATION, EVENT_TAG, ANNOTATION_JOB = "post_index", "annotation", "event_tag", "annotation_job"
RAW_COLUMNS = {"event_name": "text", "bucket": "text", "t_id": "text", "json": "text"}
BUCKET_COLUMNS = {"event_name": "text", "bucket": "text", "since": "timestamp", "seconds": "int"}
# An `Interval` of app.domain.coverage; in JSON: `events` (which version of each was in force when), `withheld_at` (what
# each limit notice has added), `tagged` (posts by event, where the source says so), `refused` (what of each event was
# not asked for, when and why).
COVERAGE_COLUMNS = {
    "source": "text",
    "opened": "timestamp",
    "connection": "text",
    "since": "timestamp",
    "until": "timestamp",
    "ended": "text",
    "origin": "text",
    "posts": "bigint",
    "duplicates": "bigint",
    "lines": "bigint",
    "withheld": "bigint",
    "withheld_at": "text",
    "events": "text",
    "tagged": "text",
    "refused": "text",
}
# A time without a connection. `kind` is "outage", or "left" where the settings did not name the source.
OUTAGE_COLUMNS = {
    "source": "text",
    "since": "timestamp",
    "kind": "text",
    "until": "timestamp",
    "why": "text",
    "ended": "text",
}
# Made from the rows, and made anew by `starling index rebuild`. `moment` is the post's time, from which its bucket
# follows; `terms` is what it is found by (app.domain.searching).
INDEX_COLUMNS = {
    "event_name": "text",
    "bucket": "text",
    "moment": "timestamp",
    "t_id": "text",
    "terms": "set<text>",
}
# What people have written to a post, under the key of its row: joins with `tweet` on all of it.
ANNOTATION_COLUMNS = {
    "event_name": "text",
    "bucket": "text",
    "t_id": "text",
    "tags": "set<text>",
    "note": "text",
    "changed_by": "text",
    "changed_at": "timestamp",
}
TAG_COLUMNS = {"event_name": "text", "tag": "text"}  # that a post of the event has, or had
# Tagging what a search finds. `asked` is an `Order` of app.domain.annotating in JSON, `state` running, done or failed.
JOB_COLUMNS = {
    "event_name": "text",
    "id": "timeuuid",
    "who": "text",
    "asked": "text",
    "state": "text",
    "why": "text",
    "posts": "int",
    "at": "timestamp",
}

_TABLES = {
    TWEET: (COLUMNS, "(event_name, bucket), t_id"),
    TWEET_RAW: (RAW_COLUMNS, "(event_name, bucket), t_id"),
    EVENT_BUCKET: (BUCKET_COLUMNS, "event_name, bucket"),
    COVERAGE: (COVERAGE_COLUMNS, "source, opened, connection"),
    OUTAGE: (OUTAGE_COLUMNS, "source, since, kind"),
    POST_INDEX: (INDEX_COLUMNS, "(event_name, bucket), moment, t_id"),
    ANNOTATION: (ANNOTATION_COLUMNS, "(event_name, bucket), t_id"),
    EVENT_TAG: (TAG_COLUMNS, "event_name, tag"),
    ANNOTATION_JOB: (JOB_COLUMNS, "event_name, id"),
}
_ORDER = {
    POST_INDEX: " WITH CLUSTERING ORDER BY (moment DESC, t_id DESC)",
    ANNOTATION_JOB: " WITH CLUSTERING ORDER BY (id DESC)",
}
# By bucket, by event: what a purge removes.
BY_BUCKET = (POST_INDEX, ANNOTATION, TWEET_RAW, TWEET)
BY_EVENT = (EVENT_TAG, ANNOTATION_JOB, EVENT_BUCKET)


def statements(settings: Settings) -> Iterator[str]:
    """CQL that makes keyspace, tables and index where they are missing."""
    replication = (
        f"{{'class': 'NetworkTopologyStrategy', '{settings.cassandra_datacenter}': {settings.cassandra_replication}}}"
    )
    yield f"CREATE KEYSPACE IF NOT EXISTS {settings.keyspace} WITH replication = {replication}"
    for table, (columns, key) in _TABLES.items():
        yield (
            f"CREATE TABLE IF NOT EXISTS {settings.keyspace}.{table} "
            f"({_definitions(columns)}, PRIMARY KEY ({key})){_ORDER.get(table, '')}"
        )
    yield f"CREATE INDEX IF NOT EXISTS tweet_event_name ON {settings.keyspace}.{TWEET} (event_name) USING 'sai'"
    yield f"CREATE INDEX IF NOT EXISTS post_index_terms ON {settings.keyspace}.{POST_INDEX} (values(terms)) USING 'sai'"


def missing_columns(settings: Settings, present: dict[str, set[str]]) -> Iterator[str]:
    """CQL that adds columns which a table of an older version lacks; `present` gives the columns of each table."""
    for table, (columns, _) in _TABLES.items():
        if absent := {name: kind for name, kind in columns.items() if name not in present.get(table, set(columns))}:
            yield f"ALTER TABLE {settings.keyspace}.{table} ADD ({_definitions(absent)})"


def insert(settings: Settings, table: str) -> str:
    """CQL that writes a whole row of a table, values in the order of its columns."""
    columns, _ = _TABLES[table]
    # What the ledger says later holds, whoever writes it last.
    stamped = " USING TIMESTAMP ?" if table in (COVERAGE, OUTAGE) else ""
    return (
        f"INSERT INTO {settings.keyspace}.{table} ({', '.join(columns)}) "  # noqa: S608 -- constants
        f"VALUES ({', '.join('?' * len(columns))}){stamped}"
    )


def standing(settings: Settings) -> str:
    """CQL that tells of some posts of a partition how they came there."""
    return (
        f"SELECT t_id, origin, event_version, received_at FROM {settings.keyspace}.{TWEET} "  # noqa: S608 -- constants
        "WHERE event_name = ? AND bucket = ? AND t_id IN ?"
    )


def _definitions(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())
