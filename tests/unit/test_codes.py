"""Codes of events: what a name gives, and what may be one."""

from __future__ import annotations

import re

import pytest

from app.domain.codes import CODE_LENGTH, check_code, code_of
from app.domain.decisions import code_for

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("2012 Hurricane Sandy", "2012-hurricane-sandy"),
        ("  Boulder   Flood! ", "boulder-flood"),
        ("São Paulo, água", "sao-paulo-agua"),
        ("Weißwasser", "weisswasser"),
        ("--a--b--", "a-b"),
        ("日本 2024", "2024"),
        ("ＦＬＯＯＤ", "flood"),
        ("A/B: \"c\" 'd'\n", "a-b-c-d"),
        ("x" * 70, "x" * 63),
        ("x" * 62 + " y", "x" * 62),
        ("2012", "2012"),
        ("on", "on"),
        ("null", "null"),
    ],
)
def test_a_code_follows_from_the_name(name: str, code: str) -> None:
    assert code_of(name) == code
    assert check_code(code) == code


@pytest.mark.parametrize("name", ["", "  ", "!?", "洪水", "Наводнение", "🔥"])
def test_a_name_without_latin_letters_or_digits_gives_no_code(name: str) -> None:
    with pytest.raises(ValueError, match="no code can be made"):
        code_of(name)


@pytest.mark.parametrize("code", ["a", "7", "a-b", "a--b", "x" * CODE_LENGTH, "2012", "on", "null", "true", "1e3"])
def test_codes(code: str) -> None:
    assert check_code(code) == code
    assert LABEL.match(code)


@pytest.mark.parametrize(
    "code", ["", "-", "-a", "a-", "A", "a_b", "a.b", "a b", "a\n", "é", "x" * 64, "a/../b", '"', "a:"]
)
def test_no_codes(code: str) -> None:
    with pytest.raises(ValueError, match="1 to 63"):
        check_code(code)


def test_a_given_code_goes_before_the_name() -> None:
    assert code_for("Some Flood", "flood-1") == "flood-1"
    assert code_for("Some Flood", None) == "some-flood"
    assert code_for("Some Flood", "") == "some-flood"
    with pytest.raises(ValueError, match="1 to 63"):
        code_for("Some Flood", "No Code")
