"""Files of lines: they grow in place, and are cut to what was kept when a job goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from app.exporting.sink import Checkpoint, RowValues, read_checkpoint, sync, write_checkpoint
from app.exporting.values import plainers


class Lines:
    """A sink that appends what `encode` makes of rows to the file; the mark is its length."""

    def __init__(self, out: Path, encode: Callable[[Iterable[RowValues]], bytes], header: bytes = b"") -> None:
        self._out = out
        self._encode = encode
        self._header = header
        self._file: BinaryIO | None = None

    def begin(self) -> Checkpoint:
        """Open the file and cut it."""
        kept = read_checkpoint(self._out.parent)
        self._file = file = self._out.open("wb" if kept is None else "r+b")
        if kept is None:
            file.write(self._header)
            return Checkpoint()
        file.truncate(kept.mark)
        file.seek(kept.mark)
        return kept

    def add(self, rows: Sequence[RowValues]) -> None:
        """Append rows."""
        self._open.write(self._encode(rows))

    def keep(self, bucket: int, rows: int) -> None:
        """Make it durable."""
        self._open.flush()
        sync(self._open.fileno())
        write_checkpoint(self._out.parent, Checkpoint(bucket, rows, self._open.tell()))

    def finish(self) -> dict[str, Any]:
        """Nothing is left to do."""
        return {}

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    @property
    def _open(self) -> BinaryIO:
        assert self._file is not None  # noqa: S101 -- `begin` comes first
        return self._file


def json_lines(columns: Sequence[str]) -> Callable[[Iterable[RowValues]], bytes]:
    """What makes rows JSON objects, one a line; every column stands in each, null where it has nothing."""
    plain = plainers(columns)
    encode = msgspec.json.Encoder().encode_lines

    def lines(rows: Iterable[RowValues]) -> bytes:
        return encode(
            [
                {
                    name: value if make is None or value is None else make(value)
                    for name, make, value in zip(columns, plain, row, strict=True)
                }
                for row in rows
            ]
        )

    return lines


def bare_lines(rows: Iterable[RowValues]) -> bytes:
    """The first value of each row as it is, a line each: ids, or JSON as it came from the source."""
    return "".join(f"{row[0]}\n" for row in rows).encode()
