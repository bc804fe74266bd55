"""What commands print: harmless to a terminal and as wide as it is, and a row a line for a program."""

from __future__ import annotations

import pytest

from cli.terminal import cell, print_pairs, print_table, safe

LONG = "word " * 100 + "end"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcödé 洪水 🌊", "plain ünïcödé 洪水 🌊"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("line\nbreak\rreturn", "line\\nbreak\\rreturn"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202eturned", "\\u202eturned"),
        ("👩\u200d🚒 می\u200cروم", "👩\u200d🚒 می\u200cروم"),
        ("half \ud83c", "half \\ud83c"),
    ],
)
def test_what_moves_a_cursor_is_escaped(text: str, shown: str) -> None:
    assert safe(text) == shown


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")


@pytest.fixture
def terminal(narrow: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "vt100")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.usefixtures("narrow")
def test_along_a_pipe_a_row_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("code", "words"), [(cell("a"), cell(LONG)), (cell("b"), cell("one") + "\n" + cell("two"))])
    assert capsys.readouterr().out.splitlines() == ["code  words", f"a     {LONG}", "b     one; two"]
    print_pairs([("code", cell("a")), ("words", cell(LONG))])
    assert capsys.readouterr().out.splitlines() == ["code   a", f"words  {LONG}"]


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_a_row_is_as_wide_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("code", "words"), [(cell("a"), cell(LONG))])
    print_pairs([("words", cell(LONG))])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 20
    assert max(map(len, lines)) <= 40
