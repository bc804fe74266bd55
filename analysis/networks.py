"""Networks as lists of edges, by the same rules as exports for Gephi: `weight` is the number of posts of an edge."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

from analysis.traits import account, hashtags, named

_BETWEEN = ", "  # of the um_ columns


def mention_network(posts: DataFrame) -> DataFrame:
    """Who (`source`) mentions whom (`target`), accounts by id or @name; a retweet mentions whom it names."""
    return _edges(posts, account(), f.array_distinct(f.transform(_mentioned(), lambda one: one["id"])))


def retweet_network(posts: DataFrame) -> DataFrame:
    """Who (`source`) retweets whom (`target`), accounts by id or @name."""
    name = f.regexp_extract("t_text", r"(?U)^RT @(\w+):", 1)
    same = f.filter(_mentioned(), lambda one: f.lower(one["name"]) == f.lower(name))
    target = f.coalesce(f.try_element_at(same, f.lit(-1))["id"], f.concat(f.lit("@"), f.lower(name)))
    return _edges(posts.where(f.col("t_is_a_retweet") & (name != "")), account(), f.array(target))


def hashtag_network(posts: DataFrame) -> DataFrame:
    """Hashtags that occur in one post, whatever their case; each pair once, `source` the lesser of the two."""
    tags = posts.select("t_created_at", f.array_sort(hashtags()).alias("tags"))
    each = tags.select("t_created_at", "tags", f.posexplode("tags").alias("at", "tag"))
    return _edges(each, f.col("tag"), f.slice("tags", f.col("at") + 2, f.size("tags")))


def _mentioned() -> Column:
    """Accounts that a post mentions, each with its id and name."""
    ids, names = (f.split(f.coalesce(column, f.lit("")), _BETWEEN) for column in ("um_id", "um_screen_name"))
    both = f.arrays_zip(ids.alias("id"), names.alias("name"))
    known = f.transform(
        both, lambda one: f.struct(named(one["id"], one["name"]).alias("id"), one["name"].alias("name"))
    )
    return f.filter(known, lambda one: one["id"].isNotNull())


def _edges(posts: DataFrame, source: Column, targets: Column) -> DataFrame:
    found = posts.select(source.alias("source"), f.explode(targets).alias("target"), "t_created_at")
    seen = f.min("t_created_at").alias("first_seen"), f.max("t_created_at").alias("last_seen")
    edges = found.where("source IS NOT NULL").groupBy("source", "target").agg(f.count("*").alias("weight"), *seen)
    return edges.orderBy(f.desc("weight"), "source", "target")
