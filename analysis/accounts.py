"""Accounts that posted, each by its id (`@name` where the source gives the name alone) with its newest name."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as f

from analysis.traits import account


def accounts_by_posts(posts: DataFrame) -> DataFrame:
    """Each `account` with the `posts` that it made and its newest number of `followers`, the most active first."""
    return _accounts(posts).orderBy(f.desc("posts"), "account")


def accounts_by_followers(posts: DataFrame) -> DataFrame:
    """The same, those with the most followers first; those of which the source gives no number last."""
    return _accounts(posts).orderBy(f.desc_nulls_last("followers"), "account")


def _accounts(posts: DataFrame) -> DataFrame:
    made = posts.select(
        account().alias("account"),
        "u_screen_name",
        "u_followers_count",
        f.struct("t_created_at", "t_id").alias("at"),
    )
    name = f.max_by("u_screen_name", f.when(f.col("u_screen_name").isNotNull(), f.col("at")))
    followers = f.max_by("u_followers_count", f.when(f.col("u_followers_count").isNotNull(), f.col("at")))
    grouped = made.where("account IS NOT NULL").groupBy("account")
    return grouped.agg(name.alias("screen_name"), f.count("*").alias("posts"), followers.alias("followers"))
