"""What posts have: hashtags, links, languages, keywords that found them; how many have each, and who was first.

A post counts once for each, however often it has it.
"""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

from analysis.catalogue import TRAITS
from app.errors import UserError


def top_hashtags(posts: DataFrame) -> DataFrame:
    """How many `posts` have each `hashtag`, whatever its case, the most frequent first."""
    return _counted(posts, "hashtag")


def links(posts: DataFrame) -> DataFrame:
    """How many `posts` have each `link`, and the `host` that it leads to, the most frequent first."""
    host = f.lower(f.regexp_extract("link", r"^https?://(?:[^/?#@]*@)?([^/?#:]+)", 1))
    return _counted(posts, "link").select("link", host.alias("host"), "posts")


def languages(posts: DataFrame) -> DataFrame:
    """How many `posts` are in each `language`, by their source (`und`: it does not say), the most frequent first."""
    return _counted(posts, "language")


def keyword_yield(posts: DataFrame) -> DataFrame:
    """How many `posts` each keyword, account or box of the events found, and how many nothing else found (`alone`).

    Of distinct posts only what the first of their events knows is counted.
    """
    alone = f.count_if(f.size("keywords") == 1)
    found = posts.select("event_name", f.map_keys("matched").alias("keywords"))
    found = found.select("event_name", "keywords", f.explode("keywords").alias("keyword"))
    grouped = found.groupBy("event_name", "keyword").agg(f.count("*").alias("posts"), alone.alias("alone"))
    return grouped.orderBy("event_name", f.desc("posts"), "keyword")


def first_seen(posts: DataFrame, trait: str = "hashtag") -> DataFrame:
    """When each hashtag (or link, keyword, language, account) was `first_seen`, in which post, by whom; in that order.

    Of posts of one moment that with the lowest id counts.
    """
    if trait not in TRAITS:
        raise UserError(f"posts have no trait {trait!r}; there are {', '.join(TRAITS)}")
    post = f.struct(f.col("t_created_at").alias("first_seen"), "t_id", "u_id", "u_screen_name")
    found = posts.where("t_created_at IS NOT NULL").select(post.alias("post"), f.explode(_OF[trait]()).alias(trait))
    firsts = found.groupBy(trait).agg(f.min("post").alias("post"), f.count("*").alias("posts"))
    return firsts.select(trait, "post.*", "posts").orderBy("first_seen", trait)


def _counted(posts: DataFrame, trait: str) -> DataFrame:
    found = posts.select(f.explode(_OF[trait]()).alias(trait))
    return found.groupBy(trait).agg(f.count("*").alias("posts")).orderBy(f.desc("posts"), trait)


def hashtags() -> Column:
    """The hashtags of a post, in small letters, each once."""
    return f.array_distinct(f.transform(f.filter("hashtags", lambda tag: tag != ""), f.lower))


def account() -> Column:
    """Who made a post: the id, or @name where the source gives the name alone; null where it gives neither."""
    return named(f.col("u_id"), f.col("u_screen_name"))


def named(number: Column, name: Column) -> Column:
    """An account by its id, else by its name."""
    return f.when(number != "", number).when(name != "", f.concat(f.lit("@"), f.lower(name)))


_OF: dict[str, Callable[[], Column]] = {
    "hashtag": hashtags,
    "link": lambda: f.array_distinct("urls"),
    "keyword": lambda: f.map_keys("matched"),
    "language": lambda: f.array(f.coalesce("t_lang", f.lit("und"))),
    "account": lambda: f.array_compact(f.array(account())),
}
