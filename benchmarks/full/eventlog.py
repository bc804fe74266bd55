"""What Spark's event log says of where tasks ran."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, field

ASIDE = "aside"  # the group of jobs that warm up, or look whether a figure is right


_READING = {"CassandraJoinRDD", "DataSourceRDD"}  # the connector's, of posts and of the list of their buckets


class Placed(Struct):
    """Tasks that ended well: by how near they were to what they read, and by address.

    Levels are Spark's words: PROCESS_LOCAL (so it also calls tasks that nothing is near to), NODE_LOCAL, ANY.
    """

    levels: Counter[str] = field(default_factory=Counter)
    reading: Counter[str] = field(default_factory=Counter)  # levels of those that read Cassandra, and no shuffle
    hosts: Counter[str] = field(default_factory=Counter)


def share(levels: Counter[str], level: str) -> float:
    """Of all tasks; 0 where there was none."""
    return levels[level] / levels.total() if levels else 0.0


def placed(lines: Iterable[str]) -> Placed:
    """Of the lines of an application's event log, without the jobs of the group ASIDE."""
    found = Placed()
    aside: set[int] = set()  # stages
    reading: set[int] = set()
    for line in lines:
        match json.loads(line):
            case {"Event": "SparkListenerJobStart", "Stage IDs": stages, "Properties": {"spark.jobGroup.id": group}}:
                aside.update(stages if group == ASIDE else ())
            case {"Event": "SparkListenerStageSubmitted", "Stage Info": {"Stage ID": stage, "RDD Info": rdds}}:
                if any(rdd["Name"] in _READING for rdd in rdds):
                    reading.add(stage)
            case {
                "Event": "SparkListenerTaskEnd",
                "Stage ID": stage,
                "Task End Reason": {"Reason": "Success"},
                "Task Info": {"Locality": level, "Host": host},
            } if stage not in aside:
                found.levels[level] += 1
                if stage in reading:
                    found.reading[level] += 1
                found.hosts[host] += 1
    return found


def placed_in(directory: Path) -> Placed:
    """Of the only log in a directory. Raises ValueError where there is another number of them."""
    (log,) = directory.iterdir()
    with log.open() as lines:
        return placed(lines)
