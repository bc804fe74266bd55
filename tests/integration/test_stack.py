"""The local stack: up, down, status, and what must not happen to other people's processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.errors import UserError
from app.local import artifacts, java
from app.local.artifacts import KAFKA
from app.local.java import find_java
from app.local.process import Process, spawn
from app.local.server import free_ports, refuse_taken
from app.local.stack import Stack
from app.local.supervise import Supervisor
from app.settings import Settings
from tests.support.waiting import until

STARLING = Path(sys.executable).with_name("starling")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of this module alone, since it is killed and stopped here."""
    made = Stack(tmp_path_factory.mktemp("own"))
    try:
        yield made
    finally:
        made.stop(purge=True)


def states(stack: Stack) -> dict[str, str]:
    return {part.name: part.state for part in stack.status()}


async def topics(stack: Stack, create: str | None = None) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.addresses["kafka"])
    await admin.start()
    try:
        if create:
            await admin.create_topics([NewTopic(create, 1, 1)])
        return list(await admin.list_topics())
    finally:
        await admin.close()


def starling(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "STARLING_STATE_DIR": str(directory)}
    return subprocess.run(
        [STARLING, *arguments], env=environment, capture_output=True, text=True, timeout=400, check=False
    )


async def test_up_again_kill_up_down_up_keeps_addresses_and_data(own: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await asyncio.to_thread(own.start) == ["kafka", "cassandra"]
    assert states(own) == {"kafka": "up", "cassandra": "up", "worker": "off"}
    first = own.addresses
    assert "kept" in await topics(own, create="kept")

    assert await asyncio.to_thread(own.start) == [], "the second up starts nothing"
    assert own.addresses == first
    monkeypatch.setenv("STARLING_STATE_DIR", str(own.directory))
    assert (Settings().kafka, Settings().cassandra) == (first["kafka"], first["cassandra"])

    pid = next(part.pid for part in own.status() if part.name == "kafka")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert Process(pid, "").wait(5)
    await asyncio.sleep(0.2)
    assert states(own) == {"kafka": "stale", "cassandra": "up", "worker": "off"}
    assert await asyncio.to_thread(own.start) == ["kafka"], "only what is gone is started"
    assert own.addresses == first, "a worker that still runs finds it at the same address"

    assert sorted(await asyncio.to_thread(own.stop)) == ["cassandra", "kafka"]
    assert states(own) == {"kafka": "down", "cassandra": "down", "worker": "off"}
    assert not (own.directory / "stack.json").exists()
    await asyncio.to_thread(own.start)
    assert "kept" in await topics(own)


def test_status_by_the_command(own: Stack) -> None:
    own.start()
    told = starling(own.directory, "status", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["parts"]["kafka"]["address"] == own.addresses["kafka"]
    assert own.addresses["cassandra"] in starling(own.directory, "status").stdout


def test_down_and_purge_by_the_command(own: Stack) -> None:
    own.start()
    told = starling(own.directory, "down", "--purge", "--json")
    assert told.returncode == 0, told.stderr
    assert sorted(json.loads(told.stdout)["stopped"]) == ["cassandra", "kafka"]
    assert not (own.directory / "data").exists()
    assert starling(own.directory, "status").returncode == 3
    assert starling(own.directory, "down").stdout == "nothing ran\n"


def running(pid: int) -> bool:
    """Whether a process runs; one that has ended has no command line, even while nobody has asked how it ended."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def test_ctrl_c_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "STARLING_STATE_DIR": str(tmp_path)}
    up = subprocess.Popen([STARLING, "up", "--no-worker"], env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (tmp_path / "stack.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    pids = [part["pid"] for part in json.loads((tmp_path / "stack.json").read_text())["processes"].values()]
    up.send_signal(signal.SIGINT)
    _, errors = up.communicate(timeout=60)
    assert up.returncode == 130
    assert b"Traceback" not in errors
    assert pids
    assert not any(map(running, pids))
    assert states(Stack(tmp_path)) == {"kafka": "down", "cassandra": "down", "worker": "off"}


def test_up_tells_what_the_worker_does_not_know_and_gives_it_that(own: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARLING_WEB_PORT", str(free_ports(1)[0]))
    monkeypatch.setenv("STARLING_SOURCES", "none")
    first = starling(own.directory, "up")
    assert first.returncode == 0, first.stderr
    monkeypatch.setenv("STARLING_SOURCES", "x")
    monkeypatch.setenv("STARLING_X_URL", "http://127.0.0.1:9")  # nobody listens there
    told = starling(own.directory, "up")
    assert (told.returncode, told.stdout.splitlines()[0]) == (0, "already up")
    assert "signs in once" in told.stdout
    assert told.stderr.splitlines()[-1] == (
        "the worker was started with other settings than these (STARLING_SOURCES, STARLING_X_URL); "
        "`starling up --restart-worker` starts it with these"
    )
    again = starling(own.directory, "up", "--restart-worker", "--json")
    assert again.returncode == 0, again.stderr
    assert (json.loads(again.stdout)["started"], json.loads(again.stdout)["differs"]) == (["worker"], [])
    assert starling(own.directory, "down").returncode == 0


def test_a_recycled_pid_is_not_killed(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        part = {"address": "127.0.0.1:1", "since": 0, "pid": stranger.pid, "started": "another time"}
        (tmp_path / "stack.json").write_text(json.dumps({"kafka": "127.0.0.1:1", "processes": {"kafka": part}}))
        (tmp_path / "worker.json").write_text(json.dumps({"pid": stranger.pid, "started": "another time"}))
        stack = Stack(tmp_path)
        assert states(stack)["kafka"] == "stale"
        assert stack.stop() == []
        assert stranger.poll() is None
        assert not (tmp_path / "stack.json").exists()
    finally:
        stranger.kill()
        stranger.wait(5)


def test_a_process_that_ignores_the_request_is_killed_with_its_children(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 60 & echo $!; wait; wait"
    process = spawn(["/bin/sh", "-c", script], tmp_path / "out")
    child = int(until((tmp_path / "out").read_text, "it has told its child"))
    process.stop(patience=0.3)
    assert not process.alive()
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # an orphan is reaped by init a moment later
            os.kill(child, 0)
            time.sleep(0.05)


def test_an_unreadable_record_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{")
    told = starling(tmp_path, "status")
    assert told.returncode == 1
    assert told.stderr.count("\n") == 1
    assert "stack.json is not readable" in told.stderr


def test_without_an_engine_docker_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("STARLING_WEB_PORT", str(free_ports(1)[0]))
    told = starling(tmp_path, "up", "--docker")
    assert told.returncode == 1
    assert "no Docker engine answers" in told.stderr
    assert "Traceback" not in told.stderr


def test_without_network_the_fetch_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(UserError, match=r"Kafka 3\S+ could not be fetched: the network"):
        artifacts.fetch(KAFKA, find_java(), lambda _: None)
    assert not (tmp_path / "cache" / "starling" / "kafka-3.9.1").exists()


def test_without_a_java_of_its_own_the_machine_uses_the_wheels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    found = find_java()
    assert found.bundled
    monkeypatch.setattr(java, "DEBIAN_TRUST", tmp_path / "none")
    trusted = java.trust_options(found, tmp_path)
    keytool = found.path.with_name("keytool")
    listed = subprocess.run(
        [keytool, "-list", "-keystore", tmp_path / "trust.p12", "-storepass", ""],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert trusted[0].endswith("trust.p12")
    assert "trustedCertEntry" in listed.stdout


def test_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port}, meant for kafka, is taken"):
            refuse_taken("kafka", port)


async def test_a_dead_worker_starts_anew_and_ends_when_told(tmp_path: Path) -> None:
    script = "import os, time; print('run', os.getpid(), flush=True); time.sleep(60)"
    command = [sys.executable, "-c", script]
    supervisor = Supervisor(command, tmp_path / "worker.log", tmp_path / "worker.json", tmp_path, first_pause=0.05)
    running = asyncio.create_task(supervisor.run())

    async def pid_other_than(before: int) -> int:
        async with asyncio.timeout(10):
            while True:
                runs = [line for line in (tmp_path / "worker.log").read_text().splitlines() if line.startswith("run")]
                if runs and (pid := int(runs[-1].split()[1])) != before:
                    return pid
                await asyncio.sleep(0.02)

    await asyncio.sleep(0.05)
    first = await pid_other_than(0)
    os.kill(first, signal.SIGKILL)
    second = await pid_other_than(first)
    supervisor.stopping.set()
    await asyncio.wait_for(running, 10)
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)
    assert "ended with status -9" in (tmp_path / "worker.log").read_text()
    assert not (tmp_path / "worker.json").exists()
