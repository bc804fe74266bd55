"""Ports that are free: of one machine, for many who ask at once."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

from app.local import server
from app.local.server import HOST, PORTS, free_ports

MANY = 500  # two that draw so many at random have some 20 in common
ASK = f"from app.local.server import free_ports; print(*free_ports({MANY}))"


@pytest.fixture(autouse=True)
def own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_no_two_processes_are_given_the_same() -> None:
    asked = [subprocess.Popen([sys.executable, "-c", ASK], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    given = [int(port) for process in asked for port in process.communicate(timeout=60)[0].split()]
    assert len(given) == len(set(given)) == 3 * MANY
    assert set(given) <= set(PORTS)


def test_a_port_is_given_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PORTS", PORTS[:3])
    monkeypatch.setattr(server, "is_free", lambda _: True)
    (first, second) = free_ports(2)
    assert set(free_ports(3)) == {*PORTS[:3]} - {first, second}
    monkeypatch.setattr(server, "LENT_SECONDS", 0.0)
    assert set(free_ports(3)) == {*PORTS[:3]}


def test_one_that_is_listened_on_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        monkeypatch.setattr(server, "PORTS", range(taken.getsockname()[1], taken.getsockname()[1] + 1))
        assert free_ports(1) == []


@pytest.mark.parametrize("content", [b"", b'{"21000": 17', b"[]", b"\xff"])
def test_a_list_that_a_kill_has_spoiled_is_begun_anew(own_list: Path, content: bytes) -> None:
    free_ports(1)
    (kept,) = own_list.iterdir()
    kept.write_bytes(content)
    assert len(free_ports(2)) == 2
    assert len(msgspec.json.decode(kept.read_bytes(), type=dict[int, float])) == 2
