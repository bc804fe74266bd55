"""How far Spark is, is what its jobs have done."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from pyspark.sql import SparkSession

from analysis.progress import Progress, Watch, watched
from tests.support.waiting import until


def test_a_job_is_told_while_it_runs_and_when_it_has_ended(spark: SparkSession, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    def wait(number: int) -> int:
        while number and not gate.exists():
            time.sleep(0.02)
        return number

    numbers = spark.sparkContext.parallelize([0, 1, 2], 3).map(wait)
    watch = Watch(spark.sparkContext)
    assert watch.look() == Progress(0, 0, 0, 0)  # what ran before does not count
    job = threading.Thread(target=lambda: numbers.map(lambda one: (one % 2, one)).groupByKey(2).count())
    job.start()
    try:
        until(lambda: watch.look() == Progress(0, 2, 1, 5), lambda: f"one task is done of all: {watch.look()}", 60)
    finally:
        gate.touch()
        job.join(60)
    until(lambda: watch.look() == Progress(2, 2, 5, 5), "both stages are done", 60)


def test_what_a_job_finds_ready_is_not_waited_for(spark: SparkSession) -> None:
    pairs = spark.sparkContext.parallelize(range(4), 2).map(lambda one: (one, one)).groupByKey(2)
    pairs.count()
    watch = Watch(spark.sparkContext)
    pairs.count()
    until(lambda: watch.look() == Progress(1, 1, 2, 2), "the shuffle that is there is skipped", 60)


def test_how_far_it_is_is_told_as_long_as_it_lasts(spark: SparkSession) -> None:
    told: list[Progress] = []
    before = {*threading.enumerate()}
    with watched(spark.sparkContext, told.append):
        spark.sparkContext.parallelize(range(4), 4).count()
        until(lambda: told and told[-1] == Progress(1, 1, 4, 4), "all is done", 60)
    assert {*threading.enumerate()} <= before, "it leaves none behind"
    assert told[-1] == Progress(1, 1, 4, 4)
