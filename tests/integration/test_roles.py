"""Each role starts, is ready, and ends by SIGTERM without a complaint; two of the same work do not run together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.local.server import free_ports
from app.local.stack import Stack
from app.roles import Role, tables
from app.settings import Settings
from tests.support.place import environment, place
from tests.support.waiting import until
from tests.support.workers import worker


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Iterator[Settings]:
    with place(stack) as own:
        yield own


@pytest.mark.parametrize("role", list(Role))
def test_a_role_starts_and_ends_cleanly(settings: Settings, role: Role) -> None:
    with worker(settings, role) as process:
        process.wait_ready()
        if tables(role):
            until(lambda: 'operation="completed"} 1.0' in process.get("/metrics")[1], "it has partitions")
        assert process.get("/healthz")[0] == 200
        assert process.term() == 0
        assert process.complaints() == []


def test_a_role_is_refused_beside_one_that_does_its_work(settings: Settings) -> None:
    with worker(settings, Role.WORKER) as process:
        process.wait_ready()
        port = str(free_ports(1)[0])
        command = [sys.executable, "-c", "from cli import main; main()", "worker", "--role", "all", "--web-port", port]
        given = os.environ | environment(settings)
        refused = subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)
        assert refused.returncode == 1
        assert "role all would do the work of role worker a second time" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
