"""The `starling` command as a person runs it: a process, its status, what it prints."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, TextIO

import pytest

import cli
from app.settings import Settings
from tests.support.place import environment
from tests.support.workers import STARLING


class Ran(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of its error."""
        assert self.status != 0
        (line,) = self.err.splitlines()
        assert line.startswith("starling: "), line
        return line.removeprefix("starling: ")


def run_here(
    patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *args: str, stdin: TextIO | None = None
) -> Ran:
    """Run a command in this process, which saves the start of one."""
    patch.setattr(sys, "argv", ["starling", *args])
    patch.setattr(sys, "stdin", stdin or io.StringIO())
    status = 0
    try:
        cli.main()
    except SystemExit as ended:
        status = int(ended.code or 0)
    return Ran(status, *capsys.readouterr())


def start(settings: Settings, state: Path, *args: str) -> subprocess.Popen[str]:
    """Start a command; the state directory is where a replay keeps its positions."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STARLING_")}
    return subprocess.Popen(
        [str(STARLING), *args],
        env=inherited | environment(settings) | {"STARLING_STATE_DIR": str(state), "STARLING_USER": "ada"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], typed: str = "", seconds: float = 90) -> Ran:
    """Wait for a command."""
    try:
        out, err = process.communicate(typed, timeout=seconds)
    finally:
        process.kill()
    return Ran(process.returncode, out, err)


def run(settings: Settings, state: Path, *args: str, typed: str = "") -> Ran:
    """Run a command."""
    return finish(start(settings, state, *args), typed)
