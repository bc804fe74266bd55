"""What `make bench-full` makes of Spark's event log, and of the words that a count must find."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.full.counting import Total, due
from benchmarks.full.eventlog import placed, share
from benchmarks.process import TreeClock


def ended(locality: str, host: str, reason: str = "Success", stage: int = 0, **more: Any) -> str:
    """A line of the log, as Spark 3.5 writes it, without what nobody here reads."""
    task = {"Task ID": 1, "Locality": locality, "Host": host, "Speculative": False, "Failed": reason != "Success"}
    return json.dumps(
        {"Event": "SparkListenerTaskEnd", "Stage ID": stage, "Task End Reason": {"Reason": reason}, "Task Info": task}
        | more
    )


def job(*stages: int, **properties: str) -> str:
    """A line that says that a job begins."""
    return json.dumps({"Event": "SparkListenerJobStart", "Stage IDs": stages, "Properties": properties})


def test_only_tasks_that_ended_well_are_counted_by_place() -> None:
    started = json.dumps({"Event": "SparkListenerTaskStart", "Task Info": {"Locality": "ANY", "Host": "127.0.0.1"}})
    named = job(0, said='"SparkListenerTaskEnd"')
    found = placed(
        [
            json.dumps({"Event": "SparkListenerLogStart", "Spark Version": "3.5.7"}),
            started,
            named,
            ended("NODE_LOCAL", "127.0.0.1"),
            ended("NODE_LOCAL", "127.0.0.2"),
            ended("NODE_LOCAL", "127.0.0.2"),
            ended("ANY", "127.0.0.3"),
            ended("ANY", "127.0.0.3", "ExceptionFailure"),
        ]
    )
    assert found.levels == {"NODE_LOCAL": 3, "ANY": 1}
    assert found.hosts == {"127.0.0.1": 1, "127.0.0.2": 2, "127.0.0.3": 1}
    assert share(found.levels, "NODE_LOCAL") == 0.75
    assert share(placed([]).levels, "NODE_LOCAL") == 0


def test_tasks_that_warm_up_or_check_are_not_counted() -> None:
    lines = [job(0, **{"spark.jobGroup.id": "count"}), ended("NODE_LOCAL", "127.0.0.1")]
    aside = [job(1, 2, **{"spark.jobGroup.id": "aside"}), ended("PROCESS_LOCAL", "127.0.0.1", stage=2)]
    assert placed(lines + aside).levels == {"NODE_LOCAL": 1}


def test_tasks_that_read_cassandra_are_told_beside_those_that_read_a_shuffle() -> None:
    def stage(number: int, *names: str) -> str:
        info = {"Stage ID": number, "RDD Info": [{"Name": name} for name in names]}
        return json.dumps({"Event": "SparkListenerStageSubmitted", "Stage Info": info})

    lines = [stage(0, "MapPartitionsRDD", "CassandraJoinRDD"), stage(1, "MapPartitionsRDD", "ShuffledRDD")]
    lines += [ended("ANY", "127.0.0.1", stage=0), ended("NODE_LOCAL", "127.0.0.1", stage=1)]
    found = placed(lines)
    assert found.levels == {"ANY": 1, "NODE_LOCAL": 1}
    assert found.reading == {"ANY": 1}


def test_words_that_are_due_are_those_of_texts_that_repeat() -> None:
    texts = ["The  dike", None, "the flood "]
    assert due(texts, 7) == Total(times=2 * 4 + 2, words=3)
    assert due(texts, 2) == Total(times=2, words=2)


def test_processor_time_is_that_of_all_processes_below_and_never_falls() -> None:
    """As PySpark's daemon has it: a parent that does not wait for its children, of which one ends."""
    # By the kernel's count in hundredths, user and system time each rounded down: a finer clock is ahead of it.
    work = "import os, sys\nwhile sum(os.times()[:2]) < 0.605: pass\nprint(1, flush=True)\nsys.stdin.read()"
    parent = f"""
import signal, subprocess, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", {work!r}], stdin=subprocess.PIPE)
sys.stdin.readline()
child.kill()
child.wait()
print(2, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        clock = TreeClock([process.pid])
        before = clock.seconds()
        assert before >= 0.6
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "2\n"
        assert TreeClock([process.pid]).seconds() < 0.6
        assert clock.seconds() >= before
    assert clock.seconds() >= before
