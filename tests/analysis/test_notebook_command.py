"""`starling notebook`: JupyterLab on this machine alone, for whoever has its link, until Ctrl-C."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from app.local.server import free_ports
from tests.support import commands
from tests.support.terminal import CTRL_C, terminal
from tests.support.waiting import until

SHIPPED = Path(__file__).parents[2] / "notebooks"
Run = Callable[..., commands.Ran]


def asked(base: str, path: str, token: str = "", body: dict[str, Any] | None = None) -> Any:
    request = Request(  # noqa: S310 -- http
        base + path,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"token {token}"} if token else {},
    )
    with urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


def test_it_serves_the_notebooks_to_whoever_has_the_link_and_ends_by_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # nobody's own configuration
    place = tmp_path / "mine"
    place.mkdir()
    (place / "getting-started.ipynb").write_text("mine")
    (port,) = free_ports(1)
    with terminal("notebook", str(place), "--port", str(port), "--no-browser") as shown:
        token = shown.match(r"token=([0-9a-f]{48})\b")[1]
        base = f"http://127.0.0.1:{port}"
        found = asked(base, "/api/contents", token)["content"]
        assert {one["name"] for one in found} == {path.name for path in SHIPPED.glob("*.ipynb")}
        with pytest.raises(HTTPError, match="403"):
            asked(base, "/api/contents")
        assert listening(port) == {"0100007F"}  # 127.0.0.1
        kernel = asked(base, "/api/kernels", token, {"name": "python3"})
        assert kernel["name"] == "python3"
        child = until(lambda: children(shown.pid), "the kernel runs")
        shown.type(CTRL_C)
        assert shown.wait() == 0, shown.shown
        assert " LabApp] " not in shown.shown  # what it tells is the link
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in child), "the kernel has ended too")
    assert (place / "getting-started.ipynb").read_text() == "mine"
    assert (place / "word-count-benchmark.ipynb").read_bytes() == (SHIPPED / "word-count-benchmark.ipynb").read_bytes()


def listening(port: int) -> set[str]:
    """The addresses at which somebody listens, as the kernel writes them."""
    lines = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    return {parts[1].split(":")[0] for parts in lines if parts[1].endswith(f":{port:04X}") and parts[3] == "0A"}


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def executed(*_: object) -> None:
        raise AssertionError("it was started")

    monkeypatch.setattr(os, "execv", executed)
    return lambda *args: commands.run_here(monkeypatch, capsys, "notebook", *args)


def test_what_hinders_it_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(str(tmp_path), "--port", str(port)).error == f"port {port} is taken; choose another one, or none"
    monkeypatch.setattr("cli.notebook.find_spec", lambda _: None)
    assert run(str(tmp_path)).error == "JupyterLab is not installed; install the extra 'analysis' (`make setup` does)"
