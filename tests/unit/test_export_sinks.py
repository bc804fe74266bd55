"""Each sink: what is read back is what was stored, and a job that was killed makes the same bytes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import networks
from app.domain.column_words import MEANING
from app.domain.columns import EXPORTED
from app.exporting import comma, parquet
from app.exporting.gexf import Gexf
from app.exporting.lines import Lines, bare_lines, json_lines
from app.exporting.parquet import Parquet
from app.exporting.sink import RowValues, Sink
from tests.support.stored_rows import row, rows

ALL = tuple(EXPORTED)
MADE = datetime(2024, 5, 1, tzinfo=UTC)
Make = Callable[[Path], Sink]

SINKS: dict[str, tuple[tuple[str, ...], Make]] = {
    "csv": (ALL, lambda out: Lines(out, comma.encoder(ALL, bom=True), comma.header(ALL, bom=True))),
    "jsonl": (ALL, lambda out: Lines(out, json_lines(ALL))),
    "ids": (("t_id",), lambda out: Lines(out, bare_lines)),
    "parquet": (ALL, lambda out: Parquet(out, ALL, {"starling_event": "flood"})),
    "mentions": (networks.COLUMNS, lambda out: Gexf(out, "mentions", "mentions of <flood>", MADE)),
    "retweets": (networks.COLUMNS, lambda out: Gexf(out, "retweets", "سيل", MADE)),
    "hashtags": (networks.COLUMNS, lambda out: Gexf(out, "hashtags", "洪水", MADE)),
}


def written(make: Make, buckets: Sequence[Sequence[RowValues]]) -> bytes:
    """The file of a job that nobody kills."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name, "data")
        sink = make(out)
        sink.begin()
        for bucket in buckets:
            sink.add(bucket)
        sink.keep(len(buckets), sum(map(len, buckets)))
        sink.finish()
        sink.close()
        return out.read_bytes()


def written_with_kills(make: Make, buckets: Sequence[Sequence[RowValues]], kept: Sequence[bool]) -> bytes:
    """The file of a job that is killed in every bucket, before or after it has kept its place."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name, "data")
        for keeps in (*kept, True):
            sink = make(out)
            place = sink.begin()
            rest = buckets[place.bucket :]
            for bucket in rest[:1]:
                sink.add(bucket)
                if keeps:
                    sink.keep(place.bucket + 1, place.rows + len(bucket))
                    sink.add(rest[1] if len(rest) > 1 else bucket)  # which is lost
            sink.close()
        for _ in range(2):  # and in the end, between the file and its manifest
            sink = make(out)
            place = sink.begin()
            rows = place.rows
            for bucket in buckets[place.bucket :]:
                sink.add(bucket)
                rows += len(bucket)
            sink.keep(len(buckets), rows)
            assert rows == sum(map(len, buckets))
            sink.finish()
            sink.close()
        return out.read_bytes()


@pytest.mark.parametrize("kind", SINKS)
@settings(max_examples=20)
@given(data=st.data())
def test_a_job_that_was_killed_makes_the_same_bytes(kind: str, data: st.DataObject) -> None:
    columns, make = SINKS[kind]
    if kind == "ids":
        bucket = st.lists(st.tuples(st.text(st.characters(codec="ascii"), min_size=1)), max_size=3)
    else:
        bucket = st.lists(rows(columns), max_size=3)
    buckets = data.draw(st.lists(bucket, max_size=4))
    kept = data.draw(st.lists(st.booleans(), max_size=5))
    assert written_with_kills(make, buckets, kept) == written(make, buckets)


@given(st.lists(rows(), max_size=4))
def test_json_lines_hold_what_was_stored(stored: list[tuple[Any, ...]]) -> None:
    lines = json_lines(ALL)(stored).decode().split("\n")
    assert lines.pop() == ""
    for line, values in zip(lines, stored, strict=True):
        found = json.loads(line)
        assert list(found) == list(ALL)
        for name, value in zip(ALL, values, strict=True):
            if EXPORTED[name] == "timestamp" and value is not None:
                assert datetime.fromisoformat(found[name]).replace(tzinfo=None) == value
                assert found[name].endswith("Z")
            elif EXPORTED[name] == "set<text>" and value is not None:
                assert found[name] == sorted(value)
            else:
                assert found[name] == (str(value) if EXPORTED[name] == "uuid" and value is not None else value)


@settings(max_examples=30)
@given(st.lists(rows(), max_size=4))
def test_parquet_holds_what_was_stored(stored: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        out = Path(name, "data.parquet")
        out.write_bytes(written(SINKS["parquet"][1], [stored]))
        table = pq.read_table(out)
    assert table.schema.metadata[b"starling_event"] == b"flood"
    assert table.column_names == list(ALL)
    for field in table.schema:
        assert field.metadata[b"description"].decode() == MEANING[field.name]
    for name, kind in EXPORTED.items():
        found = table.column(name).to_pylist()
        due = [values[ALL.index(name)] for values in stored]
        if kind == "timestamp":
            assert all(one is None or one.tzinfo is not None for one in found)
            found = [one and one.replace(tzinfo=None) for one in found]
        elif kind == "uuid":
            due = [None if one is None else str(one) for one in due]
        elif kind == "set<text>":
            due = [None if one is None else sorted(one) for one in due]
        elif kind.startswith("frozen"):
            found = [None if one is None else dict(one) for one in found]
        assert found == due


def test_the_row_groups_of_parquet_are_even_wherever_its_parts_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 4)
    stored = [row(t_id=str(number), t_text="x" * number) for number in range(10)]
    make = SINKS["parquet"][1]
    pieces = [stored[:3], stored[3:9], stored[9:]]
    made = written_with_kills(make, pieces, [True] * 5)
    assert made == written(make, [stored])
    with tempfile.TemporaryDirectory() as name:
        out = Path(name, "data.parquet")
        out.write_bytes(made)
        described = pq.ParquetFile(out).metadata
    assert [described.row_group(number).num_rows for number in range(described.num_row_groups)] == [4, 4, 2]
