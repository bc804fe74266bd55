"""What a sink of rows is, and how it remembers where a job that was killed goes on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec
from msgspec import Struct

RowValues: TypeAlias = Sequence[Any]  # of the columns that the sink was made for, as the driver gives them
CHECKPOINT = "checkpoint.json"


class Checkpoint(Struct, frozen=True):
    """All rows of the buckets before `bucket` are in the sink, and no others."""

    bucket: int = 0
    rows: int = 0
    mark: int = 0  # the sink's own


class Sink(Protocol):
    """Makes a file in a directory of its own. Every method blocks and may raise OSError."""

    def begin(self) -> Checkpoint:
        """Open it where the last `keep` was, or at the beginning; what came after that is dropped."""

    def add(self, rows: Sequence[RowValues]) -> None:
        """Take rows."""

    def keep(self, bucket: int, rows: int) -> None:
        """Make all that came durable, with the place to go on from."""

    def finish(self) -> dict[str, Any]:
        """Make the file of what was kept; what the manifest has to say of it beside the usual. Repeatable."""

    def close(self) -> None:
        """Let go of open files."""


def read_checkpoint(directory: Path) -> Checkpoint | None:
    """Where to go on; None at the beginning."""
    try:
        return msgspec.json.decode((directory / CHECKPOINT).read_bytes(), type=Checkpoint)
    except FileNotFoundError:
        return None


def write_checkpoint(directory: Path, kept: Checkpoint) -> None:
    """Write down where to go on."""
    write_whole(directory / CHECKPOINT, msgspec.json.encode(kept))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, whatever kills whom."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(content)
        sync(file.fileno())
    beside.replace(path)
    sync_directory(path.parent)


def sync(descriptor: int) -> None:
    """Return when the disk has it."""
    os.fsync(descriptor)


def sync_directory(directory: Path) -> None:
    """Return when the names in it are on the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
