"""One Spark for all, over generated posts that the project's own writer has stored."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from pyspark.sql import DataFrame, SparkSession

from analysis.posts import posts
from analysis.session import session
from app.domain.rows import Row
from app.local.stack import Stack
from app.settings import Settings
from tests.support import analysed
from tests.support.place import place
from tests.support.rows import Stored

# Of hundreds of posts to compile a plan, or Java, takes longer than to run it.
SMALL = {
    "spark.cassandra.input.fetch.sizeInRows": "20",  # a bucket has many pages
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.showConsoleProgress": "false",
}


@pytest.fixture(scope="package")
def made() -> list[Row]:
    """The rows that are stored."""
    return list(analysed.rows().values())


@pytest.fixture(scope="package")
def stored(stack: Stack, made: list[Row]) -> Iterator[Settings]:
    """Where they are stored."""
    with place(stack) as settings:
        analysed.write(settings, made)
        analysed.tell(settings)
        yield settings


@pytest.fixture(scope="package")
def spark(stored: Settings) -> Iterator[SparkSession]:
    """A session that reads them."""
    on_interrupt = signal.getsignal(signal.SIGINT)
    running = session("local[2]", settings=stored, config=SMALL)
    yield running
    running.stop()
    signal.signal(signal.SIGINT, on_interrupt)  # pyspark's own would meet other tests


@pytest.fixture(scope="package")
def found(spark: SparkSession) -> DataFrame:
    """The posts of two events, each once."""
    return posts(spark, ["flood", "storm"], distinct=True).cache()


@pytest.fixture(scope="package")
def due(made: list[Row]) -> list[Stored]:
    """The same, without Spark."""
    once: dict[str, Stored] = {}
    for row in sorted(analysed.of(made, "flood", "storm"), key=lambda row: row["event_name"]):
        once.setdefault(row["t_id"], row | {"events": []})["events"].append(row["event_name"])
    return list(once.values())
