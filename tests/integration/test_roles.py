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
from tests.support.patched import starling_with
from tests.support.place import environment, place
from tests.support.waiting import until
from tests.support.workers import Worker, worker


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Iterator[Settings]:
    with place(stack) as own:
        yield own


@pytest.mark.parametrize("role", list(Role))
def test_a_role_starts_and_ends_cleanly(settings: Settings, role: Role) -> None:
    with worker(settings, role) as process:
        process.wait_ready()
        if tables(role):
            until_it_has_joined(process)
        assert process.get("/healthz")[0] == 200
        assert process.term() == 0
        assert process.complaints() == []


def until_it_has_joined(process: Worker) -> None:
    until(lambda: 'operation="completed"} 1.0' in process.get("/metrics")[1], "it has partitions")


def test_a_role_is_refused_beside_one_that_does_its_work(settings: Settings) -> None:
    with worker(settings, Role.WORKER) as process:
        until_it_has_joined(process)
        port = str(free_ports(1)[0])
        command = [sys.executable, "-c", "from cli import main; main()", "worker", "--role", "all", "--web-port", port]
        given = os.environ | environment(settings)
        refused = subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)
        assert refused.returncode == 1
        assert "role all would do the work of role worker a second time" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


# As if the rival had joined its group between this process's look and its own joining.
BLIND_BEFORE_JOINING = """
    import app.preflight as preflight
    look = preflight._check_rivals
    looks = []

    async def second_only(client, role, settings):
        looks.append(role)
        if len(looks) > 1:
            await look(client, role, settings)

    preflight._check_rivals = second_only
"""


def test_rivals_that_start_at_the_same_moment_do_not_both_go_on(settings: Settings) -> None:
    with (
        worker(settings, Role.WORKER) as first,
        worker(settings, Role.ALL, starling_with(BLIND_BEFORE_JOINING)) as late,
    ):
        until_it_has_joined(first)
        assert late.process.wait(60) == 1
        (said,) = [entry for entry in late.complaints() if entry["event"] == "worker gives up"]
        assert "role all would do the work of role worker a second time" in said["why"]
        assert first.alive()
