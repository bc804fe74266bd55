"""Parcels on disk, first in, first out, for as long as Kafka is away. They survive the end of the process.

Files of a few MB with a number each; a parcel is its length, its checksum and its bytes. What a kill -9 has cut off at
the end of a file is left out. A file is removed when everything in it is in Kafka: what was sent of it before a restart
is sent again, and dropped by its ids.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import threading
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from zlib import crc32

import msgspec

from app.errors import UserError
from app.tracking.parcel import Parcel, decode, encode

log = logging.getLogger(__name__)

FILE_BYTES = 8 * 1024 * 1024
_HEAD = struct.Struct(">II")


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
            for path in sorted(other.glob("*.spool")):
                last = max((int(one.stem) for one in own.glob("*.spool")), default=0)
                path.rename(own / f"{last + 1:010}.spool")
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


class SpoolFull(Exception):
    """No room for more: the limit is reached, or the disk is full."""


class Spool:
    """A directory of spooled parcels. Blocks on the disk: call it from a thread. One process at a time."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self._directory = directory
        self._most = most_bytes
        directory.mkdir(parents=True, exist_ok=True)
        self._files = sorted(directory.glob("*.spool"))
        self._bytes = sum(path.stat().st_size for path in self._files)
        self._number = int(self._files[-1].stem) if self._files else 0
        self._open: int | None = None  # the file that is being written, always the last one
        self._written = 0
        self._lock = threading.Lock()  # two threads: one writes while another reads what was written before
        self._whole = True  # whether the file that was read last was read to its end

    @property
    def empty(self) -> bool:
        """Whether nothing waits here."""
        return not self._files

    @property
    def size(self) -> int:
        """Bytes that wait here."""
        return self._bytes

    def append(self, parcels: Iterable[Parcel]) -> None:
        """Put parcels at the end. Raises SpoolFull, with none of them written."""
        framed = b"".join([_framed(encode(parcel)) for parcel in parcels])
        with self._lock:
            self._append(framed)

    def _append(self, framed: bytes) -> None:
        if self._bytes + len(framed) > self._most:
            raise SpoolFull(f"the spool in {self._directory} holds {self._bytes:,} bytes, {self._most:,} at most")
        try:
            self._write(framed)
        except OSError as error:
            raise SpoolFull(f"the spool in {self._directory} cannot be written: {error.strerror}") from None
        self._bytes += len(framed)
        if self._written >= FILE_BYTES:
            with suppress(OSError):  # it is written; only its way to the disk was to be hastened
                self.seal()

    def _write(self, framed: bytes) -> None:
        if self._open is None:
            self._number += 1
            path = self._directory / f"{self._number:010}.spool"
            self._open = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._files.append(path)
            self._written = 0
        done = 0
        try:
            while done < len(framed):
                done += os.write(self._open, framed[done:])
        except OSError:
            os.ftruncate(self._open, self._written)  # half a parcel would hide what comes after
            os.lseek(self._open, 0, os.SEEK_END)
            raise
        self._written += done

    def first(self) -> list[Parcel]:
        """The parcels of the oldest file; nothing is added to it any more. Empty where none is left."""
        if not self._files:
            return []
        with self._lock:
            if len(self._files) == 1:
                self.seal()
        parcels, self._whole = _parcels(self._files[0].read_bytes())
        return parcels

    def drop_first(self) -> None:
        """Remove the oldest file: all of it is in Kafka. One that could not be read to its end is put aside."""
        with self._lock:
            path = self._files.pop(0)
            self._bytes -= path.stat().st_size
            if self._whole:
                path.unlink()
                return
            path.rename(_unused(path.with_suffix(".damaged")))
        log.error("a file of spooled posts is damaged; the rest of it is put aside", extra={"file": str(path)})

    def seal(self) -> None:
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


def _framed(data: bytes) -> bytes:
    return _HEAD.pack(len(data), crc32(data)) + data


def _parcels(data: bytes) -> tuple[list[Parcel], bool]:
    """The parcels of a file, and whether nothing else is in it than what a kill -9 has cut off at its end."""
    found: list[Parcel] = []
    at = 0
    while at + _HEAD.size <= len(data):
        length, check = _HEAD.unpack_from(data, at)
        body = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(body) < length:
            break
        if crc32(body) != check:
            return found, False
        try:
            found.append(decode(body))
        except msgspec.DecodeError:
            return found, False  # of another version
        at += _HEAD.size + length
    return found, True
