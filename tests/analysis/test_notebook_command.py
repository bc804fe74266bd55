"""`starling notebook`: JupyterLab on this machine alone, for whoever has its link, until Ctrl-C."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

import pytest

from app.local.server import free_ports
from app.local.stack import Stack
from tests.support import commands
from tests.support.api import FORM, SECRET, Api, api
from tests.support.place import environment, place
from tests.support.terminal import CTRL_C, terminal
from tests.support.waiting import until
from tests.support.workers import worker

SHIPPED = Path(__file__).parents[2] / "notebooks"
Run = Callable[..., commands.Ran]


def asked(base: str, path: str, token: str = "", body: dict[str, Any] | None = None, cookie: str = "") -> Any:
    headers = {"Authorization": f"token {token}"} if token else {"Cookie": cookie} if cookie else {}
    data = json.dumps(body).encode() if body is not None else None
    request = Request(base + path, data=data, headers=headers)  # noqa: S310 -- http
    with urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


def test_it_serves_the_notebooks_to_whoever_has_the_link_and_ends_by_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # nobody's own configuration
    monkeypatch.setenv("STARLING_KAFKA", f"127.0.0.1:{free_ports(1)[0]}")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "getting-started.ipynb").write_text("mine")
    (port,) = free_ports(1)
    with terminal("notebook", str(mine), "--port", str(port), "--no-browser") as shown:
        token = shown.match(r"token=([0-9a-f]{48})\b")[1]
        assert "only the link lets in, not the sign-in of the pages: Kafka is not reachable" in shown.shown
        base = f"http://127.0.0.1:{port}"
        until(lambda: listening(port), "it listens: Jupyter prints the link a moment before")
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
    assert (mine / "getting-started.ipynb").read_text() == "mine"
    assert (mine / "word-count-benchmark.ipynb").read_bytes() == (SHIPPED / "word-count-benchmark.ipynb").read_bytes()


@pytest.fixture(scope="module")
def admin(stack: Stack) -> Iterator[Api]:
    """An administrator of a server of Starling."""
    with place(stack, token_secret=SECRET) as settings, worker(settings, "manager") as manager:
        manager.wait_ready()
        yield api(manager, "ada")


def test_starlings_administrators_get_in_as_on_its_pages_and_nobody_else(
    admin: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"STARLING_WEB_PORT": str(admin.worker.port), "STARLING_USER": "ada", "HOME": str(tmp_path)}
    for name, value in (environment(admin.worker.settings) | own).items():
        monkeypatch.setenv(name, value)
    viewer = api(admin.worker, "eve", "viewer")
    (port,) = free_ports(1)
    base = f"http://127.0.0.1:{port}"
    with terminal("notebook", str(tmp_path / "mine"), "--port", str(port), "--no-browser") as shown:
        link = shown.match(r"token=([\w-]+\.[\w-]+\.[\w-]+)\s")[1]
        until(lambda: listening(port), "it listens")
        for path, whose in (("/api/contents", {"token": link}), ("/api/me", {"cookie": signed_in(admin)})):
            assert asked(base, path, **whose)
        assert asked(base, "/api/me", link)["identity"]["username"] == "ada"
        wrong: list[dict[str, str]] = [{}, {"token": "x"}, {"token": str(viewer.token)}, {"cookie": signed_in(viewer)}]
        for whose in wrong:
            with pytest.raises(HTTPError, match="403"):
                asked(base, "/api/contents", **whose)
        browser = build_opener(HTTPCookieProcessor(kept := CookieJar()))
        told = browser.open(f"{base}/lab", timeout=60).read().decode()
        assert f'<a href="http://127.0.0.1:{admin.worker.port}">' in told
        xsrf = next(one.value for one in kept if one.name == "_xsrf")
        with pytest.raises(HTTPError, match="401") as refused:
            browser.open(f"{base}/login", urlencode({"password": viewer.token, "_xsrf": xsrf}).encode(), timeout=60)
        assert "eve is no administrator" in refused.value.read().decode()
        browser.open(f"{base}/login", urlencode({"password": admin.token, "_xsrf": xsrf}).encode(), timeout=60)
        assert browser.open(f"{base}/lab", timeout=60).url == f"{base}/lab"
        assert admin.send("POST", "/api/v1/people/ada/revoke").status == 204
        until(lambda: not is_in(base, link), "the revoke counts here too")
        until(lambda: browser.open(f"{base}/lab", timeout=60).url != f"{base}/lab", "the browser is asked again")
        shown.type(CTRL_C)
        assert shown.wait() == 0, shown.shown


def is_in(base: str, token: str) -> bool:
    try:
        return bool(asked(base, "/api/contents", token))
    except HTTPError as refused:
        assert refused.code == 403
        return False


def signed_in(person: Api) -> str:
    """The cookie of a session with the pages."""
    answer = person.send("POST", "/sign-in", urlencode({"token": person.token}).encode(), media=FORM)
    return f"starling={SimpleCookie(answer.headers['Set-Cookie'])['starling'].value}"


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
