"""Parcels on disk, first in, first out, for as long as Kafka is away. They survive the end of the process.

Files of a few MB, named by a number and by when the oldest of their posts came; a parcel is its length, its checksum, a
checksum of these two, and its bytes. What a kill -9 has cut off at the end of the last file is taken away by who takes
over: it was told to nobody as kept. Anything else that cannot be read is damage. A file is removed when everything in
it is in Kafka: what was sent of it before a restart is sent again, and dropped by its ids.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import struct
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from zlib import crc32

import msgspec
from msgspec import Struct

from app.domain.spans import Span
from app.errors import UserError
from app.tracking.parcel import Parcel, decode, encode

log = logging.getLogger(__name__)

FILE_BYTES = 8 * 1024 * 1024
_SIZE = struct.Struct(">II")
_HEAD = struct.Struct(">III")
_SPOOLED = re.compile(r"(\d+)(?:\.(\d+))?\.spool")
_DAMAGED = re.compile(r"\d+\.(\d+)-(\d+)(-\d+)?\.damaged")


def check_usable(directory: Path) -> None:
    """Raise UserError if nothing can be kept below the directory: else that shows only when Kafka is away."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise UserError(
            f"posts cannot be kept in {directory} ({(error.strerror or str(error)).lower()}) while Kafka is away; "
            "set STARLING_SPOOL_DIR to a directory that can be written to"
        ) from None


def claim(directory: Path) -> tuple[Path, int]:
    """A directory for this process alone, below the given one; the first that no running process has.

    What a process that is gone has left in it is this one's now. The second value is the lock, to be kept open.
    """
    for number in count():
        own = directory / f"tracker-{number}"
        own.mkdir(parents=True, exist_ok=True)
        lock = os.open(own / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            _cut(own)
            _inherit(directory, own)
            return own, lock
    raise AssertionError  # count() has no end


def _inherit(directory: Path, own: Path) -> None:
    """Take over what processes that are gone have left: perhaps fewer run now than before."""
    for other in sorted(directory.glob("tracker-*")):
        if other == own:
            continue
        lock = os.open(other / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _cut(other)
            last = max((file.number for file in _files(own)), default=0)
            for number, file in enumerate(_files(other), last + 1):
                file.path.rename(own / _name(number, file.since))
            for path in other.glob("*.damaged"):
                path.rename(_unused(own / path.name))
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


class SpoolFull(Exception):
    """No room for more: the limit is reached, or the disk is full."""


class _File(Struct):
    """One that waits, of those of a directory."""

    path: Path
    number: int
    since: int  # when the oldest of its posts came, in milliseconds since 1970; 0 where its name does not say so
    size: int


def _files(directory: Path) -> list[_File]:
    """In their order."""
    names = [(path, _SPOOLED.fullmatch(path.name)) for path in sorted(directory.glob("*.spool"))]
    return [_File(path, int(name[1]), int(name[2] or 0), _size(path)) for path, name in names if name is not None]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # told when it is to be read
        return 0


class Spool:
    """A directory of spooled parcels. Blocks on the disk: call it from a thread. One process at a time."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self._directory = directory
        self.most = most_bytes
        directory.mkdir(parents=True, exist_ok=True)
        self._files = _files(directory)
        self._bytes = sum(file.size for file in self._files)
        self._number = self._files[-1].number if self._files else 0
        self._open: int | None = None  # the file that is being written, always the last one
        self._lock = threading.Lock()  # two threads: one writes while another reads what was written before
        self._whole = True  # whether the first file was read to its end
        self._reached_ms = 0  # when the last post came that was read of it
        # When what is lost came. The names of what was put aside tell it to the next process, too.
        self.lost: list[Span] = [
            (int(found[1]), int(found[2]))
            for path in directory.glob("*.damaged")
            if (found := _DAMAGED.fullmatch(path.name)) is not None
        ]

    @property
    def empty(self) -> bool:
        """Whether nothing waits here."""
        return not self._files

    @property
    def several(self) -> bool:
        """Whether more waits here than the file that is read first."""
        return len(self._files) > 1

    @property
    def end(self) -> int:
        """A place behind all that waits here now."""
        return self._number + 1

    def is_past(self, place: int) -> bool:
        """Whether all before a place is gone from here."""
        first = next(iter(self._files), None)  # another thread may take it away
        return first is None or first.number >= place

    @property
    def size(self) -> int:
        """Bytes that wait here."""
        return self._bytes

    def append(self, parcels: Sequence[Parcel]) -> None:
        """Put parcels at the end. Raises SpoolFull, with none of them written."""
        # Before they are encoded: while it is full, the same ones come five times a second.
        self._check_room(sum(len(parcel.value) for parcel in parcels))
        framed = b"".join([_framed(encode(parcel)) for parcel in parcels])
        came = min((parcel.heard_ms for parcel in parcels if parcel.heard_ms), default=_now_ms())
        with self._lock:
            self._append(framed, came)

    def _append(self, framed: bytes, came: int) -> None:
        self._check_room(len(framed))
        try:
            self._write(framed, came)
        except OSError as error:
            raise SpoolFull(f"the spool in {self._directory} cannot be written: {error.strerror}") from None
        self._bytes += len(framed)
        if self._files[-1].size >= FILE_BYTES:
            with suppress(OSError):  # it is written; only its way to the disk was to be hastened
                self._seal()

    def _check_room(self, more: int) -> None:
        if self._bytes + more > self.most:
            raise SpoolFull(f"the spool in {self._directory} holds {self._bytes:,} bytes, {self.most:,} at most")

    def _write(self, framed: bytes, came: int) -> None:
        if self._open is None:
            self._number += 1
            path = self._directory / _name(self._number, came)
            self._open = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._files.append(_File(path, self._number, came, 0))
        file = self._files[-1]
        done = 0
        try:
            while done < len(framed):
                done += os.write(self._open, framed[done:])
        except OSError:
            self._take_back(self._open, file.size)
            raise
        file.size += done

    def _take_back(self, file: int, size: int) -> None:
        """Leave no half of a parcel in the file: it would hide what comes after. Where it stays, the file ends."""
        try:
            os.ftruncate(file, size)
            os.lseek(file, 0, os.SEEK_END)
        except OSError:
            self._open = None
            with suppress(OSError):
                os.close(file)

    def first(self) -> list[Parcel]:
        """The parcels of the oldest file; nothing is added to it any more. Empty where none is left. Raises OSError."""
        if not self._files:
            return []
        self._whole, self._reached_ms = False, 0
        with self._lock:
            if len(self._files) == 1:
                self._seal()
        data = self._files[0].path.read_bytes()
        parcels, read, _ = _parcels(data)
        self._whole = read == len(data)
        self._reached_ms = next((one.heard_ms for one in reversed(parcels) if one.heard_ms), 0)
        return parcels

    def drop_first(self) -> None:
        """Let go of the oldest file: what `first` has read of it is in Kafka.

        One that was not read to its end is put aside. What came in it was heard after all that was read of it, and
        before it was written last.
        """
        with self._lock:
            file = self._files.pop(0)
            self._bytes -= file.size
        try:
            if self._whole:
                file.path.unlink()
            else:
                self._put_aside(file)
        except OSError as error:
            # The next process finds it again, and then it is looked up what of it is in Kafka.
            log.error("a file of the spool stays where it was", extra={"file": str(file.path), "why": error.strerror})  # noqa: TRY400 -- one line

    def _put_aside(self, file: _File) -> None:
        since, until = max(file.since, self._reached_ms), _now_ms()
        with suppress(OSError):
            written = int(file.path.stat().st_mtime * 1000) + 1
            until = written if written > since else until  # by another's clock
        self.lost.append((since, until))
        log.error("a file of spooled posts is damaged; the rest of it is put aside", extra={"file": str(file.path)})
        file.path.rename(_unused(file.path.with_name(f"{file.number:010}.{since}-{until}.damaged")))

    def _seal(self) -> None:
        """End the file that is being written. Raises OSError where it is not sure to be on the disk."""
        if self._open is not None:
            file, self._open = self._open, None
            try:
                os.fsync(file)
            finally:
                os.close(file)


def _unused(path: Path) -> Path:
    """The path, or one like it: numbers begin anew once a spool is empty, and an earlier file must not be lost."""
    names = (path.with_stem(f"{path.stem}-{number}") if number else path for number in count())
    return next(name for name in names if not name.exists())


def _name(number: int, since: int) -> str:
    return f"{number:010}.{since}.spool"


def _now_ms() -> int:
    return int(time.time() * 1000)


def _cut(directory: Path) -> None:
    """Take away what a kill -9 has left of a parcel behind all others that a process has written."""
    for file in _files(directory)[-1:]:
        with suppress(OSError):  # told when it is to be sent
            _, read, torn = _parcels(file.path.read_bytes())
            if torn:
                os.truncate(file.path, read)


def _framed(data: bytes) -> bytes:
    size = len(data), crc32(data)
    return _HEAD.pack(*size, crc32(_SIZE.pack(*size))) + data


def _parcels(data: bytes) -> tuple[list[Parcel], int, bool]:
    """The parcels of a file, up to where it can be read, and whether what follows is the beginning of one."""
    found: list[Parcel] = []
    at = 0
    while at + _HEAD.size <= len(data):
        length, check, own = _HEAD.unpack_from(data, at)
        if crc32(_SIZE.pack(length, check)) != own:
            return found, at, False
        body = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(body) < length:
            return found, at, True
        if crc32(body) != check:
            return found, at, False
        try:
            found.append(decode(body))
        except msgspec.DecodeError:
            return found, at, False  # of another version
        at += _HEAD.size + length
    return found, at, at < len(data)
