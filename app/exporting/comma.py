"""CSV (RFC 4180) that spreadsheets cannot be hurt by.

Every text, ids too, stands in quotes; numbers, true and false, times and nothing do not. A text that a spreadsheet
could take for a formula gets an apostrophe before it, and so does one that begins with an apostrophe: who reads the
file by a program takes one leading apostrophe off each text and has what was stored (`undefused`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from app.domain.columns import EXPORTED
from app.exporting.sink import RowValues
from app.exporting.values import text_of

BOM = b"\xef\xbb\xbf"
END = "\r\n"
_FORMULAS = frozenset("=+-@＝＋－＠")
_LEADING = "'\t\r\n"
# What a spreadsheet would make a number or a date of, and round: an id of 19 digits loses its last three.
_NUMBER_LIKE = re.compile(r"[\s\d.,:/%eE+-]+")
_DIGIT = re.compile(r"\d")


def header(columns: Sequence[str], *, bom: bool) -> bytes:
    """The first line."""
    return (BOM if bom else b"") + (",".join(columns) + END).encode()


def encoder(columns: Sequence[str], *, bom: bool) -> Callable[[Iterable[RowValues]], bytes]:
    """What makes lines of rows. With `bom`, texts that look like numbers are kept from being read as such, too."""
    return encoder_of([EXPORTED[name] for name in columns], bom=bom)


def encoder_of(kinds: Sequence[str], *, bom: bool) -> Callable[[Iterable[RowValues]], bytes]:
    """The same for columns of these kinds."""
    defuse = _for_spreadsheets if bom else defused
    cells = [_cell(kind, defuse) for kind in kinds]

    def encode(rows: Iterable[RowValues]) -> bytes:
        lines = [
            ",".join(["" if value is None else cell(value) for cell, value in zip(cells, row, strict=True)])
            for row in rows
        ]
        return (END.join(lines) + END).encode() if lines else b""

    return encode


def defused(text: str) -> str:
    """The text with an apostrophe before it where it needs one."""
    return f"'{text}" if text and (text[0] in _LEADING or text.lstrip()[:1] in _FORMULAS) else text


def undefused(text: str) -> str:
    """The text as it was."""
    return text.removeprefix("'")


def _for_spreadsheets(text: str) -> str:
    return f"'{text}" if _NUMBER_LIKE.fullmatch(text) and _DIGIT.search(text) else defused(text)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _cell(kind: str, defuse: Callable[[str], str]) -> Callable[[Any], str]:
    if kind == "text":
        return lambda text: _quoted(defuse(text))
    return _CELLS[kind]


def _json(value: Any) -> str:
    return _quoted(msgspec.json.encode(value).decode())


_CELLS: dict[str, Callable[[Any], str]] = {
    "int": str,
    "double": repr,
    "boolean": lambda value: "true" if value else "false",
    "timestamp": text_of,
    "uuid": lambda value: _quoted(str(value)),
    "list<text>": lambda values: _json(list(values)),
    "set<text>": lambda values: _json(sorted(values)),
    "frozen<map<text, text>>": lambda values: _json(dict(values)),
}
