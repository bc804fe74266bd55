"""A command that is typed wrongly: one line that says what is wrong, and where to read on."""

from __future__ import annotations

import pytest

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


def test_a_group_alone_shows_its_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run_here(monkeypatch, capsys, "event")
    assert ran.status == 2
    assert "Usage: starling event" in ran.out + ran.err
    assert "create" in ran.out + ran.err
