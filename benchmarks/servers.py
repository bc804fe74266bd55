"""Kafka and Cassandra for a benchmark."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from app.local.artifacts import Report
from app.local.stack import Stack


def _say(line: str) -> None:
    click.echo(line, err=True)


@contextmanager
def servers(report: Report = _say) -> Iterator[Stack]:
    """Those that run in STARLING_BENCH_STACK, else some of its own, which are removed in the end."""
    with tempfile.TemporaryDirectory(prefix="starling-bench-") as directory:
        kept = os.environ.get("STARLING_BENCH_STACK")
        stack = Stack(Path(kept or directory))
        try:
            stack.start(report)
            yield stack
        finally:
            if not kept:
                stack.stop(purge=True)
