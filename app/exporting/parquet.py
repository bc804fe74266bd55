"""Parquet: what is kept stands in parts, which become one file of even row groups in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.domain.column_words import MEANING
from app.domain.columns import EXPORTED
from app.exporting.sink import (
    Checkpoint,
    RowValues,
    read_checkpoint,
    sync,
    sync_directory,
    write_checkpoint,
)

GROUP_ROWS = 20_000  # some 40 MB in memory
_COMPRESSION = "zstd"
_TYPES = {
    "text": pa.string(),
    "int": pa.int32(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("ms", tz="UTC"),
    "uuid": pa.string(),
    "list<text>": pa.list_(pa.string()),
    "set<text>": pa.list_(pa.string()),
    "frozen<map<text, text>>": pa.map_(pa.string(), pa.string()),
}
_VALUES: dict[str, Callable[[Any], Any]] = {
    "uuid": str,
    "set<text>": sorted,
    "frozen<map<text, text>>": lambda value: list(value.items()),
}


def schema(columns: Sequence[str], about: dict[str, str] | None = None) -> pa.Schema:
    """The columns with their types and, as metadata, what each means; `about` describes the file."""
    fields = [pa.field(name, _TYPES[EXPORTED[name]], metadata={"description": MEANING[name]}) for name in columns]
    return pa.schema(fields, metadata=about)


class Parquet:
    """A sink of parts; the mark is how many there are."""

    def __init__(self, out: Path, columns: Sequence[str], about: dict[str, str] | None = None) -> None:
        self._out = out
        self._schema = schema(columns, about)
        self._make = [_VALUES.get(EXPORTED[name]) for name in columns]
        self._parts = 0
        self._writer: pq.ParquetWriter | None = None

    def begin(self) -> Checkpoint:
        """Forget the parts that were not kept."""
        kept = read_checkpoint(self._out.parent) or Checkpoint()
        self._parts = kept.mark
        return kept

    def add(self, rows: Sequence[RowValues]) -> None:
        """Write rows to the part that is open."""
        if not rows:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._part(self._parts), self._schema, compression=_COMPRESSION)
        self._writer.write_batch(self._batch(rows))

    def keep(self, bucket: int, rows: int) -> None:
        """Close the part."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            with self._part(self._parts).open("rb") as file:
                sync(file.fileno())
            sync_directory(self._out.parent)
            self._parts += 1
        write_checkpoint(self._out.parent, Checkpoint(bucket, rows, self._parts))

    def finish(self) -> dict[str, Any]:
        """Make one file of the parts. Its row groups, thus its bytes, do not depend on where the parts ended."""
        with pq.ParquetWriter(self._out, self._schema, compression=_COMPRESSION) as writer:
            for group in self._groups():
                writer.write_table(group, row_group_size=GROUP_ROWS)
        with self._out.open("rb") as file:
            sync(file.fileno())
        return {"row_group_rows": GROUP_ROWS, "compression": _COMPRESSION}

    def close(self) -> None:
        """Let go of the part that is open."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError):
                writer.close()

    def _groups(self) -> Iterator[pa.Table]:
        waiting: list[pa.RecordBatch] = []
        count = 0
        for number in range(self._parts):
            with pq.ParquetFile(self._part(number)) as part:
                for batch in part.iter_batches(GROUP_ROWS):
                    waiting.append(batch)
                    count += batch.num_rows
                    while count >= GROUP_ROWS:
                        table = pa.Table.from_batches(waiting, self._schema)
                        yield table.slice(0, GROUP_ROWS).combine_chunks()
                        waiting = table.slice(GROUP_ROWS).to_batches()
                        count -= GROUP_ROWS
        if waiting:
            yield pa.Table.from_batches(waiting, self._schema).combine_chunks()

    def _batch(self, rows: Sequence[RowValues]) -> pa.RecordBatch:
        columns = zip(*rows, strict=True)
        arrays = [
            pa.array([value if make is None or value is None else make(value) for value in values], field.type)
            for make, values, field in zip(self._make, columns, self._schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _part(self, number: int) -> Path:
        return self._out.parent / f"part-{number:06}.parquet"
