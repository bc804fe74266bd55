"""Words of posts, in small letters, counted as in the thesis's Listing 6.1: a word is what stands between blanks."""

from __future__ import annotations

from operator import add
from typing import Any

from pyspark import RDD
from pyspark.sql import DataFrame
from pyspark.sql import functions as f


def word_count(posts: DataFrame) -> DataFrame:
    """Each `word` of the posts' texts and how often it occurs (`times`), the most frequent first."""
    words = posts.select(f.explode(f.split(f.lower("t_text"), " ")).alias("word")).where("word != ''")
    return words.groupBy("word").agg(f.count("*").alias("times")).orderBy(f.desc("times"), "word")


def word_count_rdd(posts: DataFrame) -> RDD[tuple[int, str]]:
    """The same as an RDD of times and word; words of equal times are in no order. Its lineage has two shuffles.

    The thesis sorts into one partition, which PySpark does without the second shuffle that its Listing 6.2 shows.
    """
    texts = posts.select("t_text").where("t_text IS NOT NULL").rdd.map(lambda row: row.t_text)
    words: RDD[str] = texts.flatMap(lambda text: filter(None, text.lower().split(" ")))
    counted: RDD[tuple[str, int]] = words.map(lambda word: (word, 1)).reduceByKey(add)
    swapped: RDD[Any] = counted.map(lambda pair: (pair[1], pair[0]))  # the stubs of sortByKey know no int as a key
    return swapped.sortByKey(ascending=False)
