"""Posts as Spark reads them: those of the events and the period, from no other partition."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from analysis import locality
from analysis.posts import buckets, posts
from app.clients.cassandra import session
from app.domain.columns import COLUMNS
from app.domain.rows import Row
from app.errors import UserError
from app.schema import ANNOTATION
from app.settings import Settings
from tests.support.analysed import START, collected, of
from tests.support.rows import Stored

ELEVEN = START.replace(hour=23, minute=0)
TWELVE = START.replace(hour=0, minute=0) + timedelta(days=1)


def by_id(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    found = {(row["event_name"], row["t_id"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def plan(found: DataFrame) -> str:
    """The physical plan."""
    text: str = found._jdf.queryExecution().executedPlan().toString()
    return text


def test_every_column_of_the_posts_of_some_events_is_as_stored(spark: SparkSession, made: list[Row]) -> None:
    found = posts(spark, ["flood", "storm"])
    assert found.columns == list(COLUMNS)
    assert by_id(collected(found)) == by_id(of(made, "flood", "storm"))


@pytest.mark.parametrize(
    ("since", "until"),
    [(ELEVEN, TWELVE), (ELEVEN + timedelta(minutes=20), None), (None, ELEVEN + timedelta(minutes=20))],
)
def test_a_period_has_the_posts_that_were_made_in_it(
    spark: SparkSession, made: list[Row], since: datetime | None, until: datetime | None
) -> None:
    first, last = since or START.replace(year=1970), until or START.replace(year=2100)
    due = {
        row["t_id"]
        for row in of(made, "flood")
        if row["t_created_at"] and first <= row["t_created_at"].replace(tzinfo=UTC) < last
    }
    found = posts(spark, "flood", since, until, ["t_id"])
    assert due
    assert sorted(due) == sorted(row.t_id for row in found.collect())
    naive = posts(spark, "flood", *(at and at.replace(tzinfo=None) for at in (since, until)), ["t_id"])
    assert naive.count() == len(due)


def test_only_buckets_of_the_events_and_the_period_are_asked_for(
    spark: SparkSession, made: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    dealt: list[DataFrame] = []

    def spread(*args: Any) -> DataFrame:
        dealt.append(locality.spread(*args))
        return dealt[-1]

    monkeypatch.setattr("analysis.posts.spread", spread)
    found = posts(spark, ["flood", "storm"], ELEVEN, TWELVE, ["t_text"])
    shown = plan(found)
    joined = r"Cassandra Direct Join \[event_name = event_name#\d+, bucket = bucket#\d+\] \w+\.tweet"
    assert re.search(joined + r" - Reading \(event_name, bucket, t_created_at, t_text\)", shown)
    assert "Cassandra Scan" not in shown
    assert "Exchange" not in shown
    assert '[["event_name" IN (?, ?), (flood, storm)]]' in plan(buckets(spark, ["flood", "storm"], ELEVEN, TWELVE))
    hour = f"{ELEVEN:%Y-%m-%dT%H:%M:%S}.0"
    asked = [tuple(row) for one in dealt for row in one.collect()]
    assert sorted(asked) == [("flood", hour), ("storm", hour)]
    every = {(row.event_name, row.bucket) for row in buckets(spark, "flood").collect()}
    assert every == {row.key[:2] for row in made if row.code == "flood"}


def test_who_filters_posts_by_their_key_gets_those(spark: SparkSession, made: list[Row]) -> None:
    """The connector fails where such a condition comes to its join."""
    due = [row for row in of(made, "flood") if row["bucket"] > "2024-05-01T23" and row["t_lang"] == "en"]
    for events in ("flood", ["flood", "storm"]):
        chosen = posts(spark, events).where("event_name = 'flood' AND bucket > '2024-05-01T23' AND t_lang = 'en'")
        assert {row.t_id for row in chosen.select("t_id").collect()} == {row["t_id"] for row in due}
    assert due


def test_distinct_posts_are_there_once_with_all_their_events(found: DataFrame, due: list[Stored]) -> None:
    assert any(len(row["events"]) == 2 for row in due)
    assert sorted(collected(found), key=lambda row: row["t_id"]) == sorted(due, key=lambda row: row["t_id"])


def test_what_people_have_written_to_posts_is_beside_them(
    spark: SparkSession, stored: Settings, made: list[Row]
) -> None:
    flood = sorted((row for row in made if row.code == "flood"), key=lambda row: row.post.id)
    storm = next(row for row in made if row.code == "storm" and row.post.id == flood[0].post.id)
    with session(stored) as cassandra:
        for row, tags, note in (
            (flood[0], {"dike", "eye witness"}, "called back"),
            (flood[1], {"dike"}, None),
            (flood[2], None, "a note alone"),
            (storm, {"storm's own"}, None),
        ):
            values = (*row.key, tags, note)
            cassandra.execute(
                f"INSERT INTO {stored.keyspace}.{ANNOTATION} (event_name, bucket, t_id, tags, note) "  # noqa: S608
                "VALUES (%s, %s, %s, %s, %s)",
                values,
            )
    found = posts(spark, "flood", columns=["t_id", "tags", "note"])
    assert found.columns == ["t_id", "tags", "note"]
    rows = {row.t_id: (sorted(row.tags), row.note) for row in found.collect()}
    assert rows.keys() == {row.post.id for row in flood}
    assert {name: said for name, said in rows.items() if said != ([], None)} == {
        flood[0].post.id: (["dike", "eye witness"], "called back"),
        flood[1].post.id: (["dike"], None),
        flood[2].post.id: ([], "a note alone"),
    }
    chosen = posts(spark, ["flood", "storm"], columns=["t_id", "tags"], distinct=True).where(
        "array_contains(tags, 'dike')"
    )
    assert {row.t_id for row in chosen.collect()} == {row.post.id for row in flood[:2]}


def test_a_column_that_there_is_not_is_refused(spark: SparkSession) -> None:
    with pytest.raises(UserError, match="no column 't_txt'; did you mean 't_text'"):
        posts(spark, "flood", columns=["t_id", "t_txt"])


def test_an_event_without_posts_has_none(spark: SparkSession) -> None:
    assert posts(spark, "nothing").count() == 0


def test_sql_reaches_the_tables(spark: SparkSession, stored: Settings, made: list[Row]) -> None:
    found = spark.sql(f"SELECT event_name, count(*) AS posts FROM cassandra.{stored.keyspace}.tweet GROUP BY 1")  # noqa: S608
    assert {row.event_name: row.posts for row in found.collect()} == {
        code: len(of(made, code)) for code in ("flood", "storm", "other")
    }


def test_times_are_utc(spark: SparkSession) -> None:
    one = posts(spark, "flood").select(f.date_format("t_created_at", "HH"), f.unix_millis("t_created_at")).first()
    assert one is not None
    assert one[0] == f"{datetime.fromtimestamp(one[1] / 1000, UTC):%H}"
