"""The demo ends by itself, agrees with what was planted, and sees it when a single value does not."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import app.demo.run
from app.domain.reasons import NOT_YET
from app.local.process import Process, start_time
from app.local.stack import Stack
from app.settings import Settings, state_dir
from cli.demo import demo
from tests.support.rows import patient_session
from tests.support.terminal import CTRL_C, terminal

STARLING = Path(sys.executable).with_name("starling")
SMALL = ("--posts", "3000", "--rate", "1500", "--live", "3", "--json")
NO_LIVE = ("--live", "0")


@pytest.fixture
def servers(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The session's stack, named in the environment; afterwards nothing of a demo must be left on it."""
    for name, address in stack.addresses.items():
        monkeypatch.setenv(f"STARLING_{name.upper()}", address)
    settings = Settings.model_validate(stack.addresses)
    before = keyspaces(settings)
    yield settings
    assert keyspaces(settings) == before


def keyspaces(settings: Settings) -> set[str]:
    with patient_session(settings) as cassandra:
        found = cassandra.execute("SELECT keyspace_name FROM system_schema.keyspaces")
        return {name for (name,) in found if name.startswith("demo_")}


@pytest.mark.usefixtures("servers")
def test_a_demo_ends_by_itself_and_agrees() -> None:
    done = subprocess.run([STARLING, "demo", *SMALL], check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    told = json.loads(done.stdout)
    assert told["agrees"]
    assert {check["name"]: check["agrees"] for check in told["checks"]} == {
        "rows in Cassandra": True,
        "malformed lines → dead letters": True,
        "control messages counted": True,
        "posts read": True,
        "posts matched": True,
        "posts by event counted": True,
        "live: sent → rows": True,
        "live: sent → heard, by the ledger": True,
        "live: cuts → new connections": True,
        "live: cuts → gaps": True,
        "live: missed → within the gap": True,
    }
    assert all(check["found"] > 0 for check in told["checks"])
    assert told["posts"] >= 3000
    assert "comparing" in done.stderr
    live = told["live"]
    assert live["arisen"] == 171
    assert 0 < live["sent"] < live["arisen"]
    (gap,) = [gap for gap in live["heard"]["gaps"] if gap["why"][-1]["why"] != NOT_YET]
    assert "in the middle of a message" in gap["why"][0]["why"]
    assert 0.5 < live["heard"]["share"] < 1


@pytest.mark.usefixtures("servers")
def test_a_demo_sees_a_row_that_is_missing_one_too_many_and_one_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app.demo.run, "run", partial(app.demo.run.run, at_rest=spoil))
    with pytest.raises(SystemExit) as ended:
        demo.main([*SMALL, *NO_LIVE, "--seed", "2"], standalone_mode=False)
    assert ended.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["agrees"]
    assert (told["missing"], told["unexpected"], told["wrong"]) == (1, 1, 1)
    differing = {(difference["column"], difference["found"]) for difference in told["differences"]}
    assert differing == {("u_followers_count", -1), ("", "none"), ("", "one")}
    assert [check["name"] for check in told["checks"] if not check["agrees"]] == ["rows in Cassandra"]


def spoil(settings: Settings) -> None:
    """One value altered, one row removed, one added."""
    table = f"{settings.keyspace}.tweet"
    with patient_session(settings) as cassandra:
        one, other = list(cassandra.execute(f"SELECT event_name, bucket, t_id FROM {table} LIMIT 2"))  # noqa: S608
        where = "WHERE event_name = %s AND bucket = %s AND t_id = %s"
        cassandra.execute(f"UPDATE {table} SET u_followers_count = -1 {where}", one)  # noqa: S608
        cassandra.execute(f"DELETE FROM {table} {where}", other)  # noqa: S608
        cassandra.execute(f"INSERT INTO {table} (event_name, bucket, t_id) VALUES (%s, %s, 'stray')", one[:2])  # noqa: S608


def entered(link: str) -> str:
    """What a browser shows that signs in by a link."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(), urllib.request.ProxyHandler({}))
    address, _, token = link.partition("?")
    with browser.open(address, token.encode(), timeout=30) as answer:
        return str(answer.read().decode())


@pytest.mark.usefixtures("servers")
def test_on_a_terminal_its_pages_stay_until_a_ctrl_c() -> None:
    with terminal("demo", "--posts", "500", *NO_LIVE) as running:
        shown = running.until("Ctrl-C ends the demo")
        assert "what Cassandra holds equals what was planted" in shown
        links = re.findall(r"(?:this|another) link signs in once\)?: (http://\S+)", shown)
        assert len(links) == 2
        for link in links:
            assert "2026 River Flood" in entered(link)
            with pytest.raises(urllib.error.HTTPError, match="401"):
                entered(link)
        given = re.search(r"in another terminal: export (.*)", shown)
        assert given is not None
        told = os.environ | dict(pair.split("=", 1) for pair in shlex.split(given[1]))
        listed = subprocess.run(
            [STARLING, "--direct", "user", "list", "--json"],
            check=True,
            capture_output=True,
            text=True,
            env=told,
            timeout=180,
        )
        assert [one["name"] for one in json.loads(listed.stdout)] == ["demo"]
        started = children(running.pid)
        assert started
        running.type(CTRL_C)
        assert running.wait() == 0, running.shown
        assert "removing its topics and tables" in running.shown
        assert "Traceback" not in running.shown
        assert not [process for process in started if process.alive()]


@pytest.mark.parametrize(
    ("until", "arguments"),
    [("posts in", ("--posts", "100000")), ("a live source", ("--posts", "500", "--live", "60"))],
    ids=["main act", "live source"],
)
def test_an_interrupted_demo_stops_what_it_started(servers: Settings, until: str, arguments: tuple[str, ...]) -> None:
    running = subprocess.Popen(
        [STARLING, "demo", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert running.stdout is not None
    for line in running.stdout:
        if line.partition("  ")[2].startswith(until):
            break
    started = children(running.pid)
    assert len(started) == 2
    running.send_signal(signal.SIGINT)
    rest, _ = running.communicate(timeout=180)
    assert running.returncode == 130
    assert "removing its topics and tables" in rest
    assert "Traceback" not in rest
    assert not [process for process in started if process.alive()]
    assert not [path for path in (state_dir() / "data" / "demo").iterdir() if path.name.startswith("demo_")]


@pytest.mark.usefixtures("servers")
def test_a_demo_whose_worker_dies_says_so_and_where_to_look() -> None:
    running = subprocess.Popen([STARLING, "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert running.stdout is not None
    for line in running.stdout:
        if line.partition("  ")[2].startswith("posts in"):
            break
    (worker,) = [one for one in children(running.pid) if b"worker" in Path(f"/proc/{one.pid}/cmdline").read_bytes()]
    os.kill(worker.pid, signal.SIGKILL)
    rest, _ = running.communicate(timeout=180)
    assert running.returncode == 1
    last = rest.splitlines()[-1]
    assert last.startswith("starling: the worker ended with status -9; see ")
    assert Path(last.rpartition(" see ")[2]).exists()


def children(parent: int) -> list[Process]:
    """The processes that this one has started itself."""
    told = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], check=False, capture_output=True, text=True)
    return [Process(int(pid), start_time(int(pid)) or "") for pid in told.stdout.split()]


@pytest.mark.usefixtures("servers")
def test_where_a_server_is_away_one_line_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARLING_KAFKA", "127.0.0.1:1")
    done = subprocess.run([STARLING, "demo", *SMALL], check=False, capture_output=True, text=True, timeout=180)
    assert done.returncode == 69
    assert done.stderr.splitlines()[-1].startswith("starling: Kafka is not reachable at 127.0.0.1:1")
    assert "Traceback" not in done.stderr
