"""`starling simulate` as people and tests call it."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import starling
from tests.support.simulator import Simulator
from tests.support.workers import STARLING


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--wires", "y"], "there is no 'y'"),
        (["--pool", "3", "--wires", "v1"], "--pool is for the wire x"),
        (["--event", "flood"], "name:keyword,keyword"),
        (["--event", ":flood"], "name:keyword,keyword"),
        (["-k", ""], "blank keyword"),
        (["--rate", "nan"], "no number of use"),
        (["--rate", "-1"], "x>=0"),
        (["--keep-alive", "inf"], "no number of use"),
        (["--token", ""], "--token is empty"),
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(starling, ["simulate", *arguments])
    assert result.exit_code == 2
    assert words in result.output.splitlines()[-1]


def test_a_process_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    log = tmp_path / "rules.jsonl"
    with Simulator("--log", str(log), token="secret") as simulator:  # noqa: S106
        assert simulator.push(['{"data": {"id": "1", "text": "a flood"}}']) == {"taken": 1, "after": 0}
        simulator.fault("silence", wire="x", seconds=60)
        assert [entry["what"] for entry in simulator.log()] == ["post", "fault"]
        assert simulator.rules() == simulator.connections() == []
        assert simulator.due() == simulator.missed() == {}
        with pytest.raises(AssertionError, match=r"400.*no post"):
            simulator.push([{"a": 1}])
        simulator.process.send_signal(signal.SIGTERM)
        assert simulator.process.wait(20) == 0
    assert [json.loads(line)["what"] for line in log.read_text().splitlines()] == ["post", "fault"]


def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    with Simulator() as simulator:
        command = [STARLING, *simulator.arguments, "--port", str(simulator.port)]
        second = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert second.stderr == f"starling: cannot listen on 127.0.0.1:{simulator.port}: address already in use\n"
