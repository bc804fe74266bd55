"""Which task of Spark reads which partitions of Cassandra: on a cluster, one at a node that has them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import ceil
from typing import Any, TypeAlias

import msgspec
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from analysis.session import keyspace

Key: TypeAlias = tuple[str, ...]
Hosts: TypeAlias = tuple[str, ...]  # names and addresses of one node; none where no task is nearer than another

# Tasks for a core: partitions differ in size, and no core waits long for the last. More of them write more files to
# shuffle: with four the word count of 100,000 posts took 15 % longer.
_TASKS = 2
_AUTH = ("spark.cassandra.auth.username", "spark.cassandra.auth.password")  # session() gives them to the session alone


def spread(spark: SparkSession, listed: DataFrame, table: str) -> DataFrame:
    """The rows of `listed`, which are keys of partitions of a Cassandra table, each column as text.

    The list is read now. No shuffle deals it out: each task begins with its own part, and Spark is told which node of
    Cassandra has the partitions of that part. Raises what Spark raises where Cassandra does not answer.
    """
    rows = listed._jdf.collectAsList()
    again = spark._jsparkSession.createDataFrame(rows, listed._jdf.schema())  # no call for each, and no task of Spark's
    keys: list[Key] = [tuple(row) for row in DataFrame(again, spark).collect()]
    local = (spark.sparkContext.master or "").startswith("local")
    nodes = {(): keys} if local else _by_node(spark, rows, keys, table)
    tasks = _TASKS * spark.sparkContext.defaultParallelism
    jvm, strings = _jvm(spark), _jvm(spark).org.apache.spark.sql.Encoders.STRING()
    parts = [
        jvm.scala.Tuple2(msgspec.json.encode(part).decode(), _seq(spark, hosts))
        for hosts, its_keys in nodes.items()
        for part in dealt(its_keys, ceil(tasks / len(nodes)))
    ]
    rdd = spark.sparkContext._jsc.sc().makeRDD(_seq(spark, parts), strings.clsTag())
    texts = DataFrame(spark._jsparkSession.createDataset(rdd, strings).toDF(), spark)
    read = f.from_json("value", "array<array<string>>", {"mode": "FAILFAST"})
    found = texts.select(f.explode(read).alias("key"))
    return found.select(*(f.col("key")[number].alias(name) for number, name in enumerate(listed.columns)))


def balanced(replicas: Sequence[tuple[Key, Collection[str]]]) -> dict[str, list[Key]]:
    """Keys by node: each at the one of its nodes that has the fewest so far; under "" those of no node."""
    nodes: dict[str, list[Key]] = {}
    for key, those in replicas:
        node = min(those, key=lambda one: len(nodes.get(one, ())), default="")
        nodes.setdefault(node, []).append(key)
    return nodes


def dealt(keys: Sequence[Key], parts: int) -> Iterator[Sequence[Key]]:
    """Keys in so many parts of about one size, or in one part each where there are fewer."""
    parts = min(parts, len(keys))
    return (keys[number::parts] for number in range(parts))


def _by_node(spark: SparkSession, rows: Any, keys: Sequence[Key], table: str) -> Mapping[Hosts, list[Key]]:
    """Keys by the node that is to be near; only nodes count at whose address there is an executor."""
    jvm, connector = _jvm(spark), _jvm(spark).com.datastax.spark.connector
    conf = spark.sparkContext._jsc.sc().getConf().clone()
    for name in _AUTH:
        if value := spark.conf.get(name, None):
            conf.set(name, value)
    cassandra = connector.cql.CassandraConnector.apply(conf)
    columns = getattr(connector, "PartitionKeyColumns$").__getattr__("MODULE$")
    writer = getattr(connector.writer, "SqlRowWriter$Factory$").__getattr__("MODULE$")
    locator = connector.writer.ReplicaLocator.apply(cassandra, keyspace(spark), table, columns, writer)
    # Each call to Java takes its time: all addresses are asked for at once.
    located = locator.keyByReplicas(jvm.scala.collection.JavaConverters.asScalaIterator(rows.iterator())).toSeq()
    told = located.unzip(getattr(jvm.scala.Predef, "$conforms")())._1().mkString("\n").splitlines()
    replicas = [re.findall(r"/([^\s,)]+)", line) for line in told]  # each name/address, the name often empty
    names = connector.rdd.partitioner.NodeAddresses(cassandra)
    hosts: dict[str, Hosts] = {"": ()}
    for node in {one for those in replicas for one in those}:
        hosts[node] = tuple(names.hostNames(jvm.java.net.InetAddress.getByName(node)).mkString(" ").split())
    executors = _executors(spark)
    near = [[node for node in those if executors.intersection(hosts[node])] for those in replicas]
    return {hosts[node]: part for node, part in balanced(list(zip(keys, near, strict=True))).items()}


def _executors(spark: SparkSession) -> set[str]:
    """Names or addresses at which executors are."""
    places = spark.sparkContext._jsc.sc().getExecutorMemoryStatus().keySet().mkString(" ").split()
    return {place.rpartition(":")[0] for place in places}


def _seq(spark: SparkSession, values: Sequence[Any]) -> Any:
    return _jvm(spark).PythonUtils.toSeq(list(values))


def _jvm(spark: SparkSession) -> Any:
    return spark.sparkContext._jvm
