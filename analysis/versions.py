"""Which versions of Spark, Scala, Java and the connector are at work, and whether they fit together."""

from __future__ import annotations

import re

from msgspec import Struct

from app.local.artifacts import CONNECTOR
from app.local.java import WANTED

_MODULE = "spark-cassandra-connector_"
_JAR = re.compile(_MODULE + r"([\d.]+)-([\d.]+)\.jar")


class Versions(Struct, frozen=True):
    """Of a Spark that runs; of the connector also the Scala that it is made for. Empty: not there."""

    spark: str
    scala: str
    java: str
    connector: str
    connector_scala: str


def connector_of(jars: str) -> tuple[str, str]:
    """Version of the connector, and its Scala, by the names of the jars that Spark was given."""
    found = _JAR.search(jars)
    return (found[2], found[1]) if found else ("", "")


def needed() -> Versions:
    """What is tested, each by the part that counts: Spark and its connector go together by their first two numbers."""
    series = ".".join(CONNECTOR.version.split(".")[:2])
    scala = next(name.removeprefix(_MODULE) for _, name, _ in CONNECTOR.modules if name.startswith(_MODULE))
    return Versions(spark=series, scala=scala, java=str(WANTED), connector=series, connector_scala=scala)


def misfits(found: Versions) -> list[str]:
    """Everything that does not fit, each as what is needed and what is there."""
    words = {"connector": "the Cassandra connector", "connector_scala": "the connector's Scala"}
    wrong = []
    for part in Versions.__struct_fields__:
        wanted, there = getattr(needed(), part), getattr(found, part)
        if there != wanted and not there.startswith(f"{wanted}."):
            wrong.append(f"{words.get(part, part.capitalize())} must be {wanted}, is {there or 'missing'}")
    return wrong
