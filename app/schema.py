"""The Cassandra schema, made from the one list of columns.

A post's row and its raw JSON share their partition key, so both travel in one mutation. Rows are found by
(event, bucket); `event_bucket` lists the buckets of an event by one query, and an index on the first key component
lets the thesis's `WHERE event_name = ?` answer. Posts are searched by `post_index`, whose terms have an index of
Cassandra's: it is asked bucket by bucket, so that a search reads no more than the buckets it comes through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from app.domain.columns import COLUMNS
from app.domain.retracting import GEO, REDACTED
from app.settings import Settings

TWEET, TWEET_RAW, EVENT_BUCKET, COVERAGE, OUTAGE = "tweet", "tweet_raw", "event_bucket", "coverage", "outage"
POST_INDEX, ANNOTATION, EVENT_TAG, ANNOTATION_JOB = "post_index", "annotation", "event_tag", "annotation_job"
RETRACTION, REMOVAL = "retraction", "removal"
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

# What sources have taken back, a `Retraction` of app.domain.retracting, whether anything of it is stored or not: what
# is stored later is held against it. `part` is the hour of a post, or one of a few for accounts.
RETRACTION_COLUMNS = {
    "part": "text",
    "subject": "text",  # id of a post or an account
    "kind": "text",
    "event": "text",  # the only one that it is for, or ""
    "up_to": "text",
    "why": "text",
    "source": "text",
    "told_at": "timestamp",
}
# What became of an event's posts by it, each under the key that its row has or had; `origin` to `received_at` are of
# that row. With `fate` "removed" this is all that is left.
REMOVAL_COLUMNS = {
    "event_name": "text",
    "bucket": "text",
    "t_id": "text",
    "fate": "text",
    "kind": "text",
    "why": "text",
    "told_at": "timestamp",
    "done_at": "timestamp",
    "origin": "text",
    "event_version": "int",
    "received_at": "timestamp",
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
    RETRACTION: (RETRACTION_COLUMNS, "(part), subject, kind, event"),
    REMOVAL: (REMOVAL_COLUMNS, "(event_name, bucket), t_id"),
}
STAMPED = (TWEET, TWEET_RAW, COVERAGE, OUTAGE, RETRACTION)  # their writes say of when they are
_STRATEGY = "NetworkTopologyStrategy"
_ORDER = {
    POST_INDEX: " WITH CLUSTERING ORDER BY (moment DESC, t_id DESC)",
    ANNOTATION_JOB: " WITH CLUSTERING ORDER BY (id DESC)",
}
# Of a stored post: what was counted of it, and how it came.
_SEEN = (
    *("event_name", "bucket", "t_id", "t_created_at", "t_lang", "hashtags", "urls", "u_screen_name", "u_id"),
    *("matched", "source", "origin", "event_version", "received_at", "retracted"),
)
# By bucket, by event: what a purge removes.
BY_BUCKET = (POST_INDEX, ANNOTATION, TWEET_RAW, TWEET, REMOVAL)
BY_EVENT = (EVENT_TAG, ANNOTATION_JOB, EVENT_BUCKET)


def statements(settings: Settings) -> Iterator[str]:
    """CQL that makes keyspace, tables and index where they are missing."""
    yield f"CREATE KEYSPACE IF NOT EXISTS {settings.keyspace} WITH replication = {_literal(_replication(settings, {}))}"
    for table, (columns, key) in _TABLES.items():
        yield (
            f"CREATE TABLE IF NOT EXISTS {settings.keyspace}.{table} "
            f"({_definitions(columns)}, PRIMARY KEY ({key})){_ORDER.get(table, '')}"
        )
    yield f"CREATE INDEX IF NOT EXISTS tweet_event_name ON {settings.keyspace}.{TWEET} (event_name) USING 'sai'"
    # By which what a source takes back is found, without a look at every row: a post, and the posts of an account.
    for column in ("t_id", "u_id"):
        yield f"CREATE INDEX IF NOT EXISTS tweet_{column} ON {settings.keyspace}.{TWEET} ({column}) USING 'sai'"
    yield f"CREATE INDEX IF NOT EXISTS post_index_terms ON {settings.keyspace}.{POST_INDEX} (values(terms)) USING 'sai'"


class Replicated(NamedTuple):
    """How the copies of a keyspace that stands are changed."""

    statement: str
    words: str
    repair: bool  # whether there are copies that hold nothing until a repair


def changed_replication(settings: Settings, stands: Mapping[str, str]) -> Replicated | None:
    """What makes the copies as many as the setting says, if that is set; `stands` is a row of `system_schema`."""
    before = {**stands, "class": stands["class"].rpartition(".")[2]}
    wanted = _replication(settings, before)
    if wanted == before or "cassandra_replication" not in settings.model_fields_set:
        return None
    near = settings.cassandra_datacenter
    return Replicated(
        f"ALTER KEYSPACE {settings.keyspace} WITH replication = {_literal(wanted)}",
        f"{settings.keyspace} from {_in_words(before)} to {_in_words(wanted)}",
        # "3/1": three, one of them transient. Another strategy may choose other nodes.
        before["class"] != _STRATEGY or int(before.get(near, "0").partition("/")[0]) < settings.cassandra_replication,
    )


def _replication(settings: Settings, before: Mapping[str, str]) -> dict[str, str]:
    """As many copies as the setting says near the workers; those that there are elsewhere stay."""
    kept = before if before.get("class") == _STRATEGY else {}
    return {**kept, "class": _STRATEGY, settings.cassandra_datacenter: str(settings.cassandra_replication)}


def _literal(replication: dict[str, str]) -> str:
    return "{" + ", ".join(f"'{name}': '{value}'" for name, value in replication.items()) + "}"


def _in_words(replication: Mapping[str, str]) -> str:
    copies = ", ".join(f"{name} {value}" for name, value in replication.items() if name != "class")
    return f"{replication['class']} ({copies})"


def missing_columns(settings: Settings, present: dict[str, set[str]]) -> Iterator[str]:
    """CQL that adds columns which a table of an older version lacks; `present` gives the columns of each table."""
    for table, (columns, _) in _TABLES.items():
        if absent := {name: kind for name, kind in columns.items() if name not in present.get(table, set(columns))}:
            yield f"ALTER TABLE {settings.keyspace}.{table} ADD ({_definitions(absent)})"


def insert(settings: Settings, table: str) -> str:
    """CQL that writes a whole row of a table, values by its columns, then of when for one of STAMPED."""
    columns, _ = _TABLES[table]
    # What the ledger or a source says later holds, whoever writes it last; and a post that was read before its source
    # took it back does not stand over that.
    stamped = " USING TIMESTAMP ?" if table in STAMPED else ""
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


def retracting(settings: Settings) -> dict[str, str]:
    """CQL by which what sources take back is kept and carried out, by name."""
    tweet, raw, at = f"{settings.keyspace}.{TWEET}", f"{settings.keyspace}.{TWEET_RAW}", "event_name = ? AND bucket = ?"
    one = f"{at} AND t_id = ?"
    index, annotation = f"{settings.keyspace}.{POST_INDEX}", f"{settings.keyspace}.{ANNOTATION}"
    noted, removal = f"{settings.keyspace}.{RETRACTION}", f"{settings.keyspace}.{REMOVAL}"
    return {
        "note": insert(settings, RETRACTION),
        "lift": f"DELETE FROM {noted} USING TIMESTAMP ? WHERE part = ? AND subject = ? AND kind = ? AND event = ?",  # noqa: S608
        "noted": f"SELECT subject, kind, event, up_to, why, source, told_at FROM {noted} "  # noqa: S608 -- constants
        "WHERE part = ? AND subject IN ?",
        "of post": f"SELECT {', '.join(_SEEN)} FROM {tweet} WHERE t_id = ?",  # noqa: S608
        "of account": f"SELECT {', '.join(_SEEN)} FROM {tweet} WHERE u_id = ?",  # noqa: S608
        "remove": f"DELETE FROM {tweet} USING TIMESTAMP ? WHERE {one}",  # noqa: S608
        "redact": f"DELETE {', '.join(REDACTED)} FROM {tweet} USING TIMESTAMP ? WHERE {one}",
        "scrub": f"DELETE {', '.join(GEO)} FROM {tweet} USING TIMESTAMP ? WHERE {one}",
        "mark": f"UPDATE {tweet} USING TIMESTAMP ? SET retracted = ? WHERE {one}",  # noqa: S608
        "mark redacted": f"UPDATE {tweet} USING TIMESTAMP ? SET t_text = '', retracted = ? WHERE {one}",  # noqa: S608
        "raw": f"SELECT json FROM {raw} WHERE {one}",  # noqa: S608
        "write raw": f"UPDATE {raw} USING TIMESTAMP ? SET json = ? WHERE {one}",  # noqa: S608
        "remove raw": f"DELETE FROM {raw} USING TIMESTAMP ? WHERE {one}",  # noqa: S608
        "remove terms": f"DELETE FROM {index} USING TIMESTAMP ? WHERE {at} AND moment = ? AND t_id = ?",  # noqa: S608
        "remove notes": f"DELETE FROM {annotation} USING TIMESTAMP ? WHERE {one}",  # noqa: S608
        "enter": insert(settings, REMOVAL),
        "standing": f"SELECT t_id, origin, event_version, received_at, retracted FROM {tweet} "  # noqa: S608 -- constants
        f"WHERE {at} AND t_id IN ?",
        "entered": f"SELECT t_id, origin, event_version, received_at, fate FROM {removal} WHERE {at} AND t_id IN ?",  # noqa: S608
    }


def _definitions(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())
