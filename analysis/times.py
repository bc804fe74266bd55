"""Posts by the time when they were made, and the periods that have many more of them than usual."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as f

_MINUTE = 60


def posts_per_minute(posts: DataFrame) -> DataFrame:
    """How many `posts` each `minute` has, in their order; minutes without any are left out."""
    return _per(posts, "minute")


def posts_per_day(posts: DataFrame) -> DataFrame:
    """How many `posts` each `day` (UTC) has, in their order; days without any are left out."""
    return _per(posts, "day")


def bursts(posts: DataFrame, minutes: int = 1, *, times: float = 3.0, before: int = 60, least: int = 10) -> DataFrame:
    """Periods of some minutes with `times` as many posts as is `usual`, and at least `least`, in their order.

    Usual is the mean of the `before` periods before, those without posts counted too, but none before the first post:
    the first period is no burst.
    """
    made = posts.where("t_created_at IS NOT NULL")
    number = f.floor(f.unix_seconds("t_created_at") / (minutes * _MINUTE)).cast("long")
    counted = made.groupBy(number.alias("number")).agg(f.count("*").alias("posts"))
    in_order = Window.orderBy("number")
    past = in_order.rangeBetween(-before, -1)
    whole = in_order.rangeBetween(Window.unboundedPreceding, 0)
    passed = f.least(f.col("number") - f.min("number").over(whole), f.lit(before))
    usual = f.coalesce(f.sum("posts").over(past), f.lit(0)) / passed
    begin = f.timestamp_seconds(f.col("number") * (minutes * _MINUTE)).alias("since")
    found = counted.select(begin, "posts", f.when(passed > 0, usual).alias("usual"))
    return found.where((f.col("posts") >= least) & (f.col("posts") >= f.col("usual") * times)).orderBy("since")


def _per(posts: DataFrame, unit: str) -> DataFrame:
    made = posts.where("t_created_at IS NOT NULL").select(f.date_trunc(unit, "t_created_at").alias(unit))
    return made.groupBy(unit).agg(f.count("*").alias("posts")).orderBy(unit)
