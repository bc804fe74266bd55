"""The thesis's word count, typed into Spark's own shell as the guide has it."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import pyspark
import pytest

from app.domain.rows import Row
from app.local.artifacts import CONNECTOR, fetch
from app.local.java import find_java
from app.local.stack import Stack
from app.settings import Settings
from tests.support import analysed
from tests.support.place import place
from tests.support.rows import query

GUIDE = Path(__file__).parents[2] / "docs" / "analysis.md"
SHELL = Path(pyspark.__file__).parent / "bin" / "spark-shell"
KEYSPACE = "twitter_analytics"  # as the listing has it
WRITE = """
sorted.map {{ case (times, word) =>
  times + " " + java.util.Base64.getEncoder.encodeToString(word.getBytes("UTF-8")) }}.saveAsTextFile("{out}")
"""


def split(text: str) -> list[str]:
    """As Java does, which keeps what is empty but at the end."""
    parts = text.split(" ")
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts


@pytest.mark.timeout(600)  # it starts a Spark of its own
def test_it_counts_the_words_of_the_table(stack: Stack, made: list[Row], tmp_path: Path) -> None:
    free = Settings.model_validate(stack.addresses)
    named = "SELECT keyspace_name FROM system_schema.keyspaces"
    if KEYSPACE in {row["keyspace_name"] for row in query(free, named)}:
        pytest.skip("the stack that is used holds somebody's posts")
    (listing,) = re.findall(r"```scala\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    out = tmp_path / "counted"
    java = find_java()
    jars = ",".join(map(str, sorted(fetch(CONNECTOR, java, print).glob("*.jar"))))
    with place(stack, keyspace=KEYSPACE) as settings:
        analysed.write(settings, made)
        hosts, port = settings.cassandra_points
        options = {
            "spark.cassandra.connection.host": ",".join(hosts),
            "spark.cassandra.connection.port": str(port),
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
        }
        conf = [part for name, value in options.items() for part in ("--conf", f"{name}={value}")]
        ran = subprocess.run(
            [str(SHELL), "--master", "local[2]", "--jars", jars, *conf],
            input=listing + WRITE.format(out=out),
            env=os.environ | {"JAVA_HOME": str(java.path.resolve().parent.parent), "TERM": "dumb"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=480,
            check=False,
        )
    assert (out / "_SUCCESS").exists(), ran.stdout + ran.stderr
    lines = [line for part in sorted(out.glob("part-*")) for line in part.read_text().splitlines()]
    told = [(int(times), base64.b64decode(word).decode()) for times, _, word in (one.partition(" ") for one in lines)]
    rows = analysed.of(made, *(event.code for event in analysed.EVENTS))
    due = Counter(word for row in rows for word in split(row["t_text"].lower()))
    assert {word: times for times, word in told} == due
    assert [times for times, _ in told] == sorted(due.values(), reverse=True)
    lineage = ran.stdout[ran.stdout.index(" ShuffledRDD[") :]
    assert len(re.findall(r"\+-\(\d+\)", lineage)) == 2
