"""The worker of the local stack: the settings it was started with, and what is refused before anything starts."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.errors import UserError
from app.local import stack as stacks
from app.local.process import Process, spawn
from app.local.server import free_ports
from app.local.stack import Stack

Environments = list[Mapping[str, str]]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Environments:
    """The environment of each worker that was started; a process that does nothing stands for it."""
    environments: Environments = []

    def idle(_: Sequence[Any], log: Path, env: Mapping[str, str]) -> Process:
        environments.append(env)
        return spawn(["/bin/sleep", "60"], log, env)

    monkeypatch.setattr(stacks, "spawn", idle)
    return environments


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    monkeypatch.setenv("STARLING_WEB_PORT", str(free_ports(1)[0]))
    monkeypatch.setenv("STARLING_SPOOL_DIR", str(tmp_path / "spool"))
    made = Stack(tmp_path)
    yield made
    made.stop_worker()


@pytest.mark.usefixtures("given")
def test_settings_that_differ_from_the_workers_are_named(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARLING_X_BEARER_TOKEN", "secret-one")
    assert stack.start_worker()
    assert stack.worker_differs() == []
    monkeypatch.setenv("STARLING_SOURCES", "x")
    monkeypatch.setenv("STARLING_X_BEARER_TOKEN", "secret-two")
    monkeypatch.setenv("STARLING_COMMAND_TIMEOUT", "60")  # which no worker reads
    assert not stack.start_worker()
    assert stack.worker_differs() == ["STARLING_SOURCES", "STARLING_X_BEARER_TOKEN"]
    stack.stop_worker()
    assert stack.start_worker()
    assert stack.worker_differs() == []


@pytest.mark.usefixtures("given")
def test_what_is_kept_of_the_settings_tells_none_of_them(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARLING_X_BEARER_TOKEN", "a-secret")
    stack.start_worker()
    kept = stack.directory / "worker-settings.json"
    assert kept.stat().st_mode & 0o077 == 0
    assert "a-secret" not in kept.read_text()
    stack.stop_worker()
    assert not kept.exists()


@pytest.mark.usefixtures("given")
@pytest.mark.parametrize("kept", ["", "{", "[]", '{"key": "", "digests": 5}', '{"key": "00", "digests": {"new": ""}}'])
def test_a_worker_of_another_version_differs_in_nothing_that_is_known(stack: Stack, kept: str) -> None:
    stack.start_worker()
    (stack.directory / "worker-settings.json").write_text(kept)
    assert stack.worker_differs() == []


def test_a_file_in_the_place_of_the_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file cannot be written to \(file exists\); STARLING_STATE_DIR names another"):
        Stack(tmp_path / "file").stop()
    assert {part.state for part in Stack(tmp_path / "file").status()} == {"down", "off"}


def test_a_path_of_a_worker_is_the_one_that_was_meant(
    stack: Stack, given: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STARLING_SPOOL_DIR", "kept")
    stack.start_worker()
    assert given[0]["STARLING_SPOOL_DIR"] == str(tmp_path / "kept")


@pytest.mark.usefixtures("given")
def test_a_spool_that_cannot_be_used_is_refused_before_anything_starts(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.check_worker()
    stack.start_worker()
    (tmp_path / "file").touch()
    monkeypatch.setenv("STARLING_SPOOL_DIR", str(tmp_path / "file"))
    stack.check_worker()  # the worker that runs has another
    with pytest.raises(UserError, match="set STARLING_SPOOL_DIR"):
        stack.check_worker(anew=True)
    stack.stop_worker()
    with pytest.raises(UserError, match="set STARLING_SPOOL_DIR"):
        stack.check_worker()
    monkeypatch.setenv("STARLING_SOURCES", "none")
    stack.check_worker()


@pytest.mark.usefixtures("given")
def test_a_worker_that_starts_anew_may_have_its_own_port_and_no_other_that_is_taken(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.start_worker()
    with socket.create_server(("127.0.0.1", 0)) as other:
        own, taken = stacks.Settings().web_port, other.getsockname()[1]
        with socket.create_server(("127.0.0.1", own)):
            stack.check_worker(anew=True)
        monkeypatch.setenv("STARLING_WEB_PORT", str(taken))
        with pytest.raises(UserError, match=f"port {taken}, meant for the worker's web pages"):
            stack.check_worker(anew=True)
