"""Each analysis against the same, counted in plain Python from the posts that were stored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from analysis.accounts import accounts_by_followers, accounts_by_posts
from analysis.networks import hashtag_network, mention_network, retweet_network
from analysis.places import geo_points
from analysis.posts import posts
from analysis.times import bursts, posts_per_day, posts_per_minute
from analysis.traits import first_seen, keyword_yield, languages, links, top_hashtags
from analysis.words import word_count, word_count_rdd
from app.domain import networks
from app.domain.rows import Row
from app.errors import UserError
from tests.support.analysed import collected, of
from tests.support.rows import Stored, moment

EPOCH = datetime(1970, 1, 1)


def ranked(items: Iterable[str]) -> list[tuple[str, int]]:
    """How often each occurs, the most frequent first, then by name as bytes."""
    return sorted(Counter(items).items(), key=lambda one: (-one[1], one[0].encode()))


def tuples(found: DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in collected(found)]


def ms(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)


def words(due: list[Stored]) -> list[str]:
    return [word for row in due for word in row["t_text"].lower().split(" ") if word]


def account(row: Stored) -> str | None:
    return row["u_id"] or (f"@{row['u_screen_name'].lower()}" if row["u_screen_name"] else None)


def tags(row: Stored) -> set[str]:
    return {tag.lower() for tag in row["hashtags"] if tag}


def test_words_are_counted(found: DataFrame, due: list[Stored]) -> None:
    counted = word_count(found)
    assert counted.columns == ["word", "times"]
    assert tuples(counted) == ranked(words(due))


def test_words_are_counted_as_in_the_thesis(found: DataFrame, due: list[Stored]) -> None:
    counted = word_count_rdd(found)
    told = counted.collect()
    assert sorted(told) == sorted((times, word) for word, times in ranked(words(due)))
    assert [times for times, _ in told] == [times for _, times in ranked(words(due))]
    lineage = counted.toDebugString()
    assert lineage is not None
    assert lineage.count(b"partitionBy") == 2


def test_a_word_is_what_stands_between_two_blanks(spark: SparkSession) -> None:
    odd = spark.createDataFrame([(" a  B\nc a ",), (None,), ("",), ("b\u00a0a",)], "t_text string")
    due = [(2, "a"), (1, "b\nc"), (1, "b\u00a0a")]
    assert [(times, word) for word, times in tuples(word_count(odd))] == due
    assert sorted(word_count_rdd(odd).collect()) == sorted(due)


@pytest.mark.parametrize(
    ("count", "form"), [(posts_per_minute, "%Y-%m-%dT%H:%M:00"), (posts_per_day, "%Y-%m-%dT00:00:00")]
)
def test_posts_are_counted_by_time(
    found: DataFrame, due: list[Stored], count: Callable[[DataFrame], DataFrame], form: str
) -> None:
    moments = [datetime.fromisoformat(row["t_created_at"].strftime(form)) for row in due]
    assert tuples(count(found)) == sorted(Counter(moments).items())
    assert len(set(moments)) > 1
    undated = found.limit(1).withColumn("t_created_at", f.lit(None).cast("timestamp"))
    assert count(undated).count() == 0


def test_hashtags_and_languages_are_counted(found: DataFrame, due: list[Stored]) -> None:
    assert tuples(top_hashtags(found)) == ranked(tag for row in due for tag in tags(row))
    assert tuples(languages(found)) == ranked(row["t_lang"] or "und" for row in due)


def test_links_are_counted_with_their_hosts(found: DataFrame, due: list[Stored], spark: SparkSession) -> None:
    told = ranked(link for row in due for link in set(row["urls"]))
    assert tuples(links(found)) == [(link, link.split("/")[2].lower(), times) for link, times in told]
    odd = ["https://A.Example:80/x", "http://me@b.example?q", "https://c.example#x", "at://d/e", "nonsense", "nonsense"]
    odd_links = links(spark.createDataFrame([(odd,)], "urls array<string>")).collect()
    assert {row.posts for row in odd_links} == {1}  # a post counts once
    hosts = {row.link: row.host for row in odd_links}
    assert [hosts[link] for link in odd[:5]] == ["a.example", "b.example", "c.example", "", ""]


def test_the_yield_of_keywords(spark: SparkSession, made: list[Row]) -> None:
    every: Counter[tuple[str, str]] = Counter()
    alone: Counter[tuple[str, str]] = Counter()
    for row in of(made, "flood", "storm"):
        for keyword in row["matched"]:
            every[row["event_name"], keyword] += 1
            alone[row["event_name"], keyword] += len(row["matched"]) == 1
    told = tuples(keyword_yield(posts(spark, ["flood", "storm"])))
    assert sorted(told) == sorted((*key, times, alone[key]) for key, times in every.items())
    assert [one[:3] for one in told] == [one[:3] for one in sorted(told, key=lambda one: (one[0], -one[2], one[1]))]
    assert any(every[key] > alone[key] for key in every)


_OF: dict[str, Callable[[Stored], Iterable[str]]] = {
    "hashtag": tags,
    "link": lambda row: set(row["urls"]),
    "keyword": lambda row: row["matched"],
    "language": lambda row: [row["t_lang"] or "und"],
    "account": lambda row: filter(None, [account(row)]),
}


@pytest.mark.parametrize("trait", _OF)
def test_what_was_seen_first(found: DataFrame, due: list[Stored], trait: Any) -> None:
    times: Counter[str] = Counter()
    firsts: dict[str, tuple[Any, ...]] = {}
    for row in sorted(due, key=lambda row: (row["t_created_at"], row["t_id"])):
        for one in _OF[trait](row):
            times[one] += 1
            firsts.setdefault(one, (row["t_created_at"], row["t_id"], row["u_id"], row["u_screen_name"]))
    told = [(one, *first, times[one]) for one, first in firsts.items()]
    assert tuples(first_seen(found, trait)) == sorted(told, key=lambda one: (one[1], one[0].encode()))


def test_a_trait_that_there_is_not_is_refused(found: DataFrame) -> None:
    with pytest.raises(UserError, match="no trait 'colour'; there are hashtag, link"):
        first_seen(found, "colour")  # type: ignore[arg-type]


def test_accounts_have_their_newest_name_and_followers(found: DataFrame, due: list[Stored]) -> None:
    counted = Counter(filter(None, map(account, due)))
    name: dict[str | None, Any] = {}
    followers: dict[str | None, Any] = {}
    for row in sorted(due, key=lambda row: (row["t_created_at"], row["t_id"])):
        name[account(row)] = row["u_screen_name"] or name.get(account(row))
        known = row["u_followers_count"]
        followers[account(row)] = followers.get(account(row)) if known is None else known
    told = [(one, name[one], times, followers[one]) for one, times in counted.items()]
    assert tuples(accounts_by_posts(found)) == sorted(told, key=lambda one: (-one[2], one[0]))
    by_followers = sorted(told, key=lambda one: (-1 if one[3] is None else one[3],), reverse=True)
    assert sorted(tuples(accounts_by_followers(found))) == sorted(told)
    assert [one[3] for one in tuples(accounts_by_followers(found))] == [one[3] for one in by_followers]
    assert max(counted.values()) > 1


def test_an_account_that_was_renamed(spark: SparkSession) -> None:
    at = datetime(2024, 5, 1, 10)
    rows = [
        ("7", "old", 5, at, "1"),
        ("7", "new", None, at, "3"),
        ("7", "older", 9, at, "2"),
        ("", "Ann", None, at, "4"),
    ]
    schema = "u_id string, u_screen_name string, u_followers_count int, t_created_at timestamp, t_id string"
    made = spark.createDataFrame([*rows, (None, None, 1, at, "5")], schema)
    assert tuples(accounts_by_posts(made)) == [("7", "new", 3, 9), ("@ann", "Ann", 1, None)]


@pytest.mark.parametrize(
    ("kind", "network"),
    [("mentions", mention_network), ("retweets", retweet_network), ("hashtags", hashtag_network)],
)
def test_networks_are_those_of_exports(
    found: DataFrame, due: list[Stored], kind: Any, network: Callable[[DataFrame], DataFrame]
) -> None:
    assert edges(network(found)) == exported(kind, due)
    weights = [one[2] for one in tuples(network(found))]
    assert weights == sorted(weights, reverse=True)
    assert weights


def edges(found: DataFrame) -> dict[tuple[str, str], tuple[Any, ...]]:
    return {(source, target): tuple(rest) for source, target, *rest in tuples(found)}


def exported(kind: Any, due: Iterable[Stored]) -> dict[tuple[str, str], tuple[Any, ...]]:
    """The edges that an export of these posts has."""
    part = networks.Part(kind)
    for row in due:
        part.add([row[name] for name in networks.COLUMNS], ms(row["t_created_at"]))
    return {edge: (seen.posts, moment(seen.first), moment(seen.last)) for edge, seen in part.edges.items()}


def test_odd_posts_in_networks(spark: SparkSession) -> None:
    at = datetime(2024, 5, 1, 10)
    rows = [
        (at, True, "RT @Ann: x", [], "1", "bob", None, None),  # named in the text alone
        (at + timedelta(days=1), True, "RT @ann: y", [], "1", "bob", None, None),
        (at, True, "RT @Ann: x", [], "1", "bob", "7, 8", "ANN, ann"),  # the last of a name counts
        (at, True, "RT @Žaneta: x", [], None, "Bob", "9", "Žaneta"),
        (at, True, "no form", [], "1", "bob", "", "ann, , eve"),
        (at, None, "RT @Ann: x", [], None, None, "7", "ann"),  # by nobody
        (at, False, None, ["b", "A", "a", "", "c"], "2", None, "5, 5", None),
    ]
    made = [dict(zip(networks.COLUMNS, row, strict=True)) for row in rows]
    kinds = ["timestamp", "boolean", "string", "array<string>", "string", "string", "string", "string"]
    schema = ", ".join(f"{name} {kind}" for name, kind in zip(networks.COLUMNS, kinds, strict=True))
    found = spark.createDataFrame(rows, schema).cache()
    for kind, network in (("mentions", mention_network), ("retweets", retweet_network), ("hashtags", hashtag_network)):
        assert edges(network(found)) == exported(kind, made), kind
    assert edges(retweet_network(found))["1", "@ann"] == (2, at, at + timedelta(days=1))


def test_a_burst_is_beyond_what_was_usual(spark: SparkSession) -> None:
    start = datetime(2024, 5, 1, 10)
    minutes = {0: 50, 1: 2, 2: 2, 3: 20, 4: 60, 30: 9, 31: 12, 32: 3}
    rows = [(start + timedelta(minutes=minute),) for minute, times in minutes.items() for _ in range(times)]
    found = spark.createDataFrame([*rows, (None,)], "t_created_at timestamp").cache()
    told = [(row.since, row.posts, row.usual) for row in bursts(found, times=2, before=3).collect()]
    # minute 3: (50 + 2 + 2) / 3 is 18, thus 20 are no burst; minute 31: nothing, nothing and 9 are 3
    assert told == [(start + timedelta(minutes=4), 60, 8.0), (start + timedelta(minutes=31), 12, 3.0)]
    ten = [(row.since, row.posts, row.usual) for row in bursts(found, 10, times=0.5, least=20).collect()]
    assert ten == [(start + timedelta(minutes=30), 24, (50 + 2 + 2 + 20 + 60) / 3)]


def test_positions_of_posts(found: DataFrame, due: list[Stored]) -> None:
    told = {}
    for row in due:
        if row["t_coordinates"]:
            told[row["t_id"]] = (*json.loads(row["t_coordinates"])["coordinates"], True, row["place"])
        elif row["t_geo"]:
            corners = json.loads(row["t_geo"])["coordinates"][0][:4]
            middle = (sum(corner[axis] for corner in corners) / 4 for axis in (0, 1))
            told[row["t_id"]] = (*middle, False, row["place"])
    points = {row[0]: row[2:] for row in tuples(geo_points(found))}
    assert points.keys() == told.keys()
    for post, (longitude, latitude, *rest) in told.items():
        assert points[post][:2] == pytest.approx((longitude, latitude))
        assert list(points[post][2:]) == rest
    assert {rest[2] for rest in told.values()} == {True, False}


def test_the_middle_of_a_box_over_the_180th_meridian(spark: SparkSession) -> None:
    def middle(west: float, east: float) -> tuple[float, float]:
        ring = [[[west, -20.0], [west, -10.0], [east, -10.0], [east, -20.0]]]
        box = json.dumps({"type": "Polygon", "coordinates": ring})
        row = ("1", None, "Fiji", "nonsense", box)
        schema = "t_id string, t_created_at timestamp, place string, t_coordinates string, t_geo string"
        (only,) = geo_points(spark.createDataFrame([row], schema)).collect()
        assert not only.exact
        return only.longitude, only.latitude

    assert middle(177.0, -179.0) == (179.0, -15.0)
    assert middle(179.0, -175.0) == (-178.0, -15.0)
    assert middle(-10.0, 20.0) == (5.0, -15.0)
