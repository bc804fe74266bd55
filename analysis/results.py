"""What an analysis found, taken from Spark row by row: as values of Python, or into a file on this machine.

Spark itself would write many files, on whatever machine a task runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from app.errors import UserError
from app.exporting import comma

Row: TypeAlias = tuple[Any, ...]

_PAGE = 20_000  # rows
# Spark's type -> as CSV knows it, and Parquet's.
_KINDS: dict[str, tuple[str, pa.DataType]] = {
    "string": ("text", pa.string()),
    "int": ("int", pa.int32()),
    "bigint": ("int", pa.int64()),
    "double": ("double", pa.float64()),
    "boolean": ("boolean", pa.bool_()),
    "timestamp": ("timestamp", pa.timestamp("ms", tz="UTC")),
}


def rows(found: DataFrame) -> Iterator[Row]:
    """The rows in their order; moments are naive UTC, as the driver of Cassandra gives them."""
    # pyspark gives a moment in the zone of this machine, and does not say so.
    for row in found.toLocalIterator():
        yield tuple(_utc(value) if isinstance(value, datetime) else value for value in row)


def check_place(out: Path, others: Sequence[str] = ()) -> None:
    """Raise UserError unless a result can be written there; `others` are endings of what is no table."""
    endings = [*_WRITERS, *others]
    if out.suffix not in endings:
        raise UserError(f"{out.name} must end with {' or '.join(endings)}: that says what file it is to be")
    if out.exists():
        raise UserError(f"{out} exists; remove it, or choose another name")
    if not out.parent.is_dir():
        raise UserError(f"there is no directory {out.parent}")


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """Where to write, so that nothing has its final name before it is whole."""
    part = out.with_name(f"{out.name}.part")
    try:
        yield part
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def write(found: DataFrame, out: Path) -> int:
    """Write all rows into a new file, CSV or Parquet by its name; how many they were. Raises UserError.

    CSV is as exports have it: no text is a formula to a spreadsheet.
    """
    check_place(out)
    with whole(out) as part:
        return _WRITERS[out.suffix](found, part)


def _write_csv(found: DataFrame, out: Path) -> int:
    encode = comma.encoder_of([_KINDS[kind][0] for _, kind in found.dtypes], bom=False)
    written = 0
    with out.open("wb") as file:
        file.write(comma.header(found.columns, bom=False))
        for page in _pages(found):
            file.write(encode(page))
            written += len(page)
    return written


def _write_parquet(found: DataFrame, out: Path) -> int:
    schema = pa.schema([pa.field(name, _KINDS[kind][1]) for name, kind in found.dtypes])
    written = 0
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for page in _pages(found):
            columns = zip(*page, strict=True)
            arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            written += len(page)
    return written


_WRITERS: dict[str, Callable[[DataFrame, Path], int]] = {".csv": _write_csv, ".parquet": _write_parquet}


def _pages(found: DataFrame) -> Iterator[Sequence[Row]]:
    every = rows(found)
    while page := list(islice(every, _PAGE)):
        yield page


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)
