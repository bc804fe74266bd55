"""A command that is typed wrongly: one line that says what is wrong, and where to read on."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from cli import starling
from tests.support.commands import run_here


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("nonsense", "no such command 'nonsense'; see `starling --help`"),
        ("event nonsense", "no such command 'nonsense'; see `starling event --help`"),
        ("event create", "missing argument 'NAME'; see `starling event create --help`"),
        ("event list --statsu x", "no such option: --statsu, did you mean --status?; see `starling event list --help`"),
        ("event list --status x", "invalid value for '--status': 'x' is not one of 'draft', "),
        ("demo --posts many", "invalid value for '--posts': 'many' is not a valid integer range; see `starling demo"),
        ("--token", "option '--token' requires an argument; see `starling --help`"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    args: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run_here(monkeypatch, capsys, *args.split())
    assert ran.status == 2
    assert said in ran.error


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("check flood --job 12", "a job has its posts: --job goes without events"),
        ("check --job ../1", "'../1' is not the id of a job of X"),
        ("check Flood", "code 'Flood': 1 to 63 of a-z"),
        ("check flood", "there is no token for X; set STARLING_X_BEARER_TOKEN"),
    ],
)
def test_a_check_that_cannot_be_done_is_not_begun(
    args: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STARLING_X_BEARER_TOKEN", raising=False)
    ran = run_here(monkeypatch, capsys, "compliance", *args.split())
    assert ran.status == 1
    assert said in ran.error


def test_a_group_alone_shows_its_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run_here(monkeypatch, capsys, "event")
    assert ran.status == 2
    assert "Usage: starling event" in ran.out + ran.err
    assert "create" in ran.out + ran.err


def test_the_first_help_names_every_command_and_needs_none_of_what_they_need() -> None:
    shown = "import sys; from cli import starling; starling(['--help'], standalone_mode=False)"
    heavy = "print([name for name in ('aiokafka', 'cassandra', 'faust', 'pyspark') if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", f"{shown}; {heavy}"], check=True, capture_output=True, text=True).stdout
    context = click.Context(starling)
    assert [line for line in starling.list_commands(context) if f"\n  {line} " not in out] == []
    assert out.endswith("\n[]\n")


@pytest.mark.parametrize("name", starling.list_commands(click.Context(starling)))
def test_what_the_first_help_says_of_a_command_is_what_the_command_says(name: str) -> None:
    context = click.Context(starling)
    told, itself = starling.get_command(context, name), starling.resolve_command(context, [name])[1]
    assert told is not None
    assert itself is not None
    assert told.name == itself.name
    assert told.get_short_help_str(200) == itself.get_short_help_str(200)
