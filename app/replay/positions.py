"""How far a file was replayed, kept in a small file of its own for each topic and file.

What is written there Kafka has confirmed, so that a kill repeats some lines but skips none. A file that changed is
begun anew; one that only grew is gone on with.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from app.errors import UserError
from app.replay.lines import JsonLines, Place


class Position(Struct, frozen=True):
    """Where a replay stands in a file, and what the file looked like."""

    path: str
    line: int
    offset: int
    done: bool
    size: int
    mtime_ns: int
    head_length: int
    head: str

    @property
    def place(self) -> Place:
        """The place in the file."""
        return Place(self.line, self.offset)

    def fits(self, file: JsonLines) -> bool:
        """Whether it is the same file still, or one that has grown since."""
        if (file.size, file.mtime_ns) == (self.size, self.mtime_ns):
            return True
        return file.size > self.size and file.fingerprint(self.head_length) == (self.head_length, self.head)


_decode = msgspec.json.Decoder(Position).decode


class PositionFile:
    """The remembered position of a file; locked while it is open, so that two replays do not mix theirs."""

    def __init__(self, directory: Path, target: str, file: JsonLines) -> None:
        self._path = file.key
        name = hashlib.sha256(f"{target}\0{self._path}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._file = directory / f"{name}.json"
        self._lock: IO[bytes]
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = self._file.with_suffix(".lock").open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise UserError(f"{file.address}: another process sends this file") from None
        except OSError as error:
            raise UserError(f"{directory}: positions cannot be kept here: {error.strerror}") from None

    def __enter__(self) -> PositionFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def read(self) -> Position | None:
        """What was written last; None where there is nothing that can be read."""
        try:
            return _decode(self._file.read_bytes())
        except (OSError, msgspec.DecodeError):
            return None

    def write(self, file: JsonLines, place: Place, *, done: bool) -> None:
        """Remember the place. A kill leaves the old position or this one. Raises UserError."""
        length, head = file.fingerprint()
        path = self._path.encode("utf-8", "backslashreplace").decode()
        position = Position(path, *place, done, file.size, file.mtime_ns, length, head)
        fresh = self._file.with_suffix(".tmp")
        try:
            fresh.write_bytes(msgspec.json.encode(position))
            os.replace(fresh, self._file)  # noqa: PTH105 -- the same
        except OSError as error:
            raise UserError(f"{self._file}: the position cannot be kept: {error.strerror}") from None
