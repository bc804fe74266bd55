"""Lines of a JSONL file, plain or gzipped, each with the place after it."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

import orjson

from app.errors import UserError
from app.replay.files import HEAD_BYTES, Address, opened
from app.topics import MAX_RECORD_BYTES

# Room for the headers, and for those of the classified record that the post becomes part of.
LINE_LIMIT = MAX_RECORD_BYTES - 64 * 1024
SAMPLE_LINES = 20
_CHUNK = 1024 * 1024
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
# What archives often come as, by their first bytes. A zip that is not packed would pass for lines with two bad ones.
_OTHERS = {
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"BZh": "packed by bzip2; unpack it first",
    b"\xfd7zXZ\x00": "packed by xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "packed by zstd; unpack it first",
    b"PAR1": "Parquet, not JSONL",
    b"\xff\xfe": "UTF-16; UTF-8 is read",
    b"\xfe\xff": "UTF-16; UTF-8 is read",
}


class Place(NamedTuple):
    """After so many lines, which are so many (unpacked) bytes."""

    line: int = 0
    offset: int = 0


class Line(NamedTuple):
    """A line without its end; None where it is longer than a record may be."""

    data: bytes | None
    end: Place
    size: int


class JsonLines:
    """An open file. Raises UserError, in one line, where it cannot be read."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.key, self.name, self._raw, self.size, self.mtime_ns, self._head, self._check = opened(address)
        start = self._head(max(map(len, _OTHERS)))
        if other := next((what for mark, what in _OTHERS.items() if start.startswith(mark)), None):
            self._raw.close()
            raise UserError(f"{address}: is {other}")
        start = start[: len(_GZIP)]
        if self.name.endswith(".gz") and self.size and start != _GZIP:
            self._raw.close()
            raise UserError(f"{address}: not gzip, in spite of its name")
        source = _Unpacked(self._raw) if start == _GZIP else cast(io.RawIOBase, self._raw)
        self._unpacked = io.BufferedReader(source, _CHUNK)

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        self._unpacked.close()
        self._raw.close()

    @property
    def consumed(self) -> int:
        """Bytes of the file, as it is kept, that were read so far."""
        return self._raw.tell()

    def fingerprint(self, length: int = HEAD_BYTES) -> tuple[int, str]:
        """How many first bytes, as they are kept, were looked at, and their digest."""
        head = self._head(min(length, self.size))
        return len(head), hashlib.sha256(head).hexdigest()

    def check(self) -> None:
        """Raise UserError if none of the first lines is JSON, or the file cannot be unpacked there."""
        first = 0
        for count, line in enumerate(self.read(Place())):
            if line.data is None or is_json(line.data):
                return
            first = first or line.end.line
            if count + 1 >= SAMPLE_LINES:
                break
        if first:
            raise UserError(
                f"{self.address}: is not JSONL at line {first}: a JSON object a line is read, or a table of DMI-TCAT's"
            )

    def starts_a_line(self, place: Place) -> bool:
        """Whether a line, or the end of the file, is at the place."""
        if place.offset == 0:
            return True
        try:
            self._unpacked.seek(place.offset - 1)
            around = self._unpacked.read(2)
        except (OSError, EOFError, zlib.error):
            return False
        return around[:1] == b"\n" or len(around) == 1

    def read(self, place: Place) -> Iterator[Line]:
        """The lines after the place that are not blank. Raises UserError with the number of a bad one."""
        number, offset = place
        try:
            self._unpacked.seek(offset)
            while data := self._unpacked.readline(LINE_LIMIT + 2):
                size = len(data)
                whole = data.endswith(b"\n") or size < LINE_LIMIT + 2
                if not whole:
                    size += self._skip_line()
                number, offset = number + 1, offset + size
                data = data.removesuffix(b"\n")
                if number == 1:
                    data = data.removeprefix(_BOM)  # it belongs to the file, not to the message
                if not whole or len(data) > LINE_LIMIT:
                    yield Line(None, Place(number, offset), size)
                elif data and not data.isspace():
                    yield Line(data, Place(number, offset), size)
            self._check()
        except EOFError:
            raise UserError(f"{self.address}: bad file at line {number + 1}: the gzip data ends too early") from None
        except (OSError, zlib.error) as error:
            raise UserError(f"{self.address}: bad file at line {number + 1}: {error}") from None

    def _skip_line(self) -> int:
        skipped = 0
        while data := self._unpacked.readline(_CHUNK):
            skipped += len(data)
            if data.endswith(b"\n"):
                break
        return skipped


class _Unpacked(io.RawIOBase):
    """Gzip data unpacked bit by bit: what stands before a fault can still be read, as GzipFile.read has it not."""

    def __init__(self, raw: BinaryIO) -> None:
        self._gzip = gzip.GzipFile(fileobj=raw)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is, forward at the price of unpacking."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill the start of the target."""
        data = self._gzip.read1(len(target))
        target[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an unpacked offset."""
        return self._gzip.seek(offset, whence)

    def tell(self) -> int:
        """The unpacked offset."""
        return self._gzip.tell()


def is_json(line: bytes) -> bool:
    """Whether the line is a JSON object or array."""
    try:
        return isinstance(orjson.loads(line), dict | list)
    except orjson.JSONDecodeError:
        return False
