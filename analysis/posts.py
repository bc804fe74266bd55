"""The posts of events in a period, as a DataFrame that reads no other partition of Cassandra.

The buckets come from the table that lists them, which is read when the DataFrame is made: buckets that begin later are
not in it. Each is asked for by its whole key ("Cassandra Direct Join" in the plan), many at once, by a task at a node
that has it. Posts are read when the DataFrame is used, and then anew each time: `.cache()` keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from analysis.locality import spread
from analysis.session import keyspace
from app.domain.columns import COLUMNS, EXPORTED
from app.domain.heard import to_ms
from app.errors import UserError
from app.schema import ANNOTATION, EVENT_BUCKET, TWEET

FORMAT = "org.apache.spark.sql.cassandra"
EVENTS = "events"
_KEY = ("event_name", "bucket")


def posts(
    spark: SparkSession,
    events: str | Sequence[str],
    since: datetime | None = None,
    until: datetime | None = None,
    columns: Sequence[str] = tuple(COLUMNS),
    *,
    distinct: bool = False,
) -> DataFrame:
    """Posts of one or several events (their codes), made from `since` on and before `until` (UTC if without a zone).

    A post of several events is there once for each. With `distinct` it is there once, with what the first of them
    (by code) has stored, and a column `events` that lists them all. The columns `tags` and `note`, where they are asked
    for, have what people have written to the post. Raises UserError for a column that there is not; as the list of
    buckets is read at once, also what Spark raises where Cassandra does not answer.
    """
    wanted = list(columns)
    if unknown := [name for name in wanted if name not in EXPORTED]:
        near = get_close_matches(unknown[0], EXPORTED, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"posts have no column {unknown[0]!r}{hint}")
    dealt = spread(spark, buckets(spark, events, since, until).select(*_KEY), TWEET)
    found = _within(_of(dealt, _table(spark, TWEET)), since, until)
    if not set(wanted) <= set(COLUMNS):
        found = _annotated(found, _of(dealt, _table(spark, ANNOTATION)))
    return _once(found, wanted) if distinct else found.select(*wanted)


def buckets(
    spark: SparkSession, events: str | Sequence[str], since: datetime | None = None, until: datetime | None = None
) -> DataFrame:
    """The partitions that hold the posts of events in a period; posts without any time are of none."""
    codes = [events] if isinstance(events, str) else list(events)
    found = _table(spark, EVENT_BUCKET).where(f.col("event_name").isin(codes))
    begin = f.unix_millis("since")
    if since is not None:
        found = found.where(begin + f.col("seconds") * 1000 > _ms(since))
    if until is not None:
        found = found.where(begin < _ms(until))
    return found


def _of(listed: DataFrame, table: DataFrame) -> DataFrame:
    """What a table has in the partitions that are listed.

    The connector refuses a condition on a key that it joins by. So none of a caller's may reach the join: Spark pushes
    no condition below one that depends on the task.
    """
    return listed.join(table, list(_KEY)).where(f.spark_partition_id() >= 0)


def _annotated(found: DataFrame, written: DataFrame) -> DataFrame:
    """The posts with what people have written to them."""
    of_post = [*_KEY, "t_id"]
    joined = found.join(written.select(*of_post, "tags", "note"), of_post, "left")
    return joined.withColumn("tags", f.coalesce("tags", f.array().cast("array<string>")))


def _within(found: DataFrame, since: datetime | None, until: datetime | None) -> DataFrame:
    made = f.unix_millis("t_created_at")
    if since is not None:
        found = found.where(made >= _ms(since))
    return found if until is None else found.where(made < _ms(until))


def _once(found: DataFrame, columns: Sequence[str]) -> DataFrame:
    first = f.min_by(f.struct(*columns), "event_name").alias("first")
    every = f.sort_array(f.collect_set("event_name")).alias(EVENTS)
    return found.groupBy("t_id").agg(first, every).select("first.*", EVENTS)


def _ms(at: datetime) -> int:
    return to_ms(at if at.tzinfo else at.replace(tzinfo=UTC))


def _table(spark: SparkSession, name: str) -> DataFrame:
    options = {"keyspace": keyspace(spark), "table": name, "directJoinSetting": "on"}
    return spark.read.format(FORMAT).options(**options).load()
