"""CSV: what is read back is what was stored, and no cell is a formula."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.columns import EXPORTED
from app.exporting import comma
from tests.support.stored_rows import EPOCH, row, rows, uuid

FORMULAS = [
    "=1+1",
    '=HYPERLINK("http://evil.example","click")',
    "+49 30 1234",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "\u00a0=1+1",
    "＝1+1",
    "＠SUM(1)",
    "'=1+1",
]


def read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def value_of(kind: str, cell: str) -> Any:
    """A cell as a program reads it that follows the manifest's note."""
    if kind == "text":
        return comma.undefused(cell)
    if cell == "":
        return None
    if kind == "int":
        return int(cell)
    if kind == "boolean":
        return {"true": True, "false": False}[cell]
    if kind == "timestamp":
        return datetime.fromisoformat(cell).replace(tzinfo=None)
    return str(cell) if kind == "uuid" else json.loads(cell)


def as_read(kind: str, value: Any) -> Any:
    """What a reader of CSV makes of a value: it cannot tell no text from an empty one."""
    if kind == "text":
        return value or ""
    if kind == "set<text>" and value is not None:
        return sorted(value)
    return str(value) if kind == "uuid" and value is not None else value


@given(st.lists(rows(), max_size=5), st.booleans())
def test_what_is_read_back_is_what_was_stored(stored: list[tuple[Any, ...]], bom: bool) -> None:
    columns = tuple(EXPORTED)
    content = comma.header(columns, bom=bom) + comma.encoder(columns, bom=bom)(stored)
    assert content.startswith(comma.BOM) == bom
    first, *lines = read(content.removeprefix(comma.BOM))
    assert first == list(columns)
    kinds = EXPORTED.values()
    assert [[value_of(kind, cell) for kind, cell in zip(kinds, line, strict=True)] for line in lines] == [
        [as_read(kind, value) for kind, value in zip(kinds, values, strict=True)] for values in stored
    ]


@given(rows(), st.booleans())
def test_no_text_begins_like_a_formula(stored: tuple[Any, ...], bom: bool) -> None:
    (cells,) = read(comma.encoder(tuple(EXPORTED), bom=bom)([stored]))
    for kind, cell in zip(EXPORTED.values(), cells, strict=True):
        assert kind in ("int",) or cell.strip()[:1] not in tuple("=+-@＝＋－＠")


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_defused(text: str) -> None:
    assert comma.defused(text) == f"'{text}"
    assert comma.undefused(comma.defused(text)) == text


@pytest.mark.parametrize("text", ["", " ", "flood", "3 people", "a=b", "mail@example", "洪水", "سيل", "<script>"])
def test_other_texts_stay(text: str) -> None:
    assert comma.defused(text) == text


def test_ids_are_texts() -> None:
    stored = row(t_id="1029384756102938475", u_id="did:plc:xyz", id=uuid(1), u_utc_offset=-3600)
    columns = ("t_id", "u_id", "id", "u_utc_offset")
    values = [tuple(stored[list(EXPORTED).index(name)] for name in columns)]
    plain = comma.encoder(columns, bom=False)(values).decode()
    assert plain == '"1029384756102938475","did:plc:xyz","' + str(uuid(1)) + '",-3600\r\n'
    assert comma.encoder(columns, bom=True)(values).decode().startswith('"\'1029384756102938475","did:'), "not rounded"


@pytest.mark.parametrize(
    ("text", "marked"), [("1e5", True), ("12:30", True), ("1/2", True), ("e", False), (" ", False)]
)
def test_a_spreadsheet_makes_no_number_of_a_text(text: str, marked: bool) -> None:
    (line,) = read(comma.encoder(("t_text",), bom=True)([(text,)]))
    assert line == [f"'{text}" if marked else text]


def test_times_are_utc_with_milliseconds() -> None:
    assert comma.encoder(("t_created_at",), bom=False)([(EPOCH,)]) == b"1970-01-01T00:00:00.000Z\r\n"
