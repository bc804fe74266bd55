"""Kafka and Cassandra for tests: of what they do, starting and making tables is most."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# To compile well takes longer than to run, and Cassandra writes its schema to disk after every statement: a place of
# its own (tests.support.place) costs a test 1.2 s of Cassandra's CPU time instead of 5.
OPTIONS = "-XX:TieredStopAtLevel=1 -Dcassandra.test.flush_local_schema_changes=false"


@contextmanager
def quickly_started() -> Iterator[None]:
    """Give these options to every Java that is started meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", OPTIONS)
        yield
