"""One analysis from its name to what it finds, with a Spark of its own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from msgspec import Struct
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from analysis.catalogue import analysis
from analysis.posts import buckets, posts
from analysis.session import reason, session
from app.errors import UserError
from app.local.artifacts import Report


class Order(Struct, frozen=True):
    """What is to be analysed: the posts of an event in a period, and how."""

    name: str
    code: str
    since: datetime | None
    until: datetime | None
    options: dict[str, Any]  # of the analysis


@contextmanager
def spark_for(master: str | None, report: Report) -> Iterator[SparkSession]:
    """A Spark for a while. What fails in it is raised as UserError, without the stacks. Raises Unavailable too."""
    on_interrupt = signal.getsignal(signal.SIGINT)
    spark = session(master, config={"spark.ui.showConsoleProgress": "false"}, report=report)
    try:
        yield spark
    except (PySparkException, Py4JError) as failed:
        raise UserError(f"Spark failed: {reason(failed)}") from None
    finally:
        spark.stop()
        signal.signal(signal.SIGINT, on_interrupt)  # pyspark's own fails once there is no Spark


def found(spark: SparkSession, order: Order) -> DataFrame:
    """What the analysis finds. Raises UserError where nothing is stored of the event."""
    if not buckets(spark, order.code).take(1):
        raise UserError(f"no posts of an event {order.code} are stored; `starling event list` shows all events")
    return analysis(order.name)(posts(spark, order.code, order.since, order.until), **order.options)
