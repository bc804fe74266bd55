"""The file and its manifest as one tar, so that nobody has one without the other."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from app.domain.exports import manifest_name

BLOCK = 256 * 1024


class Member(Struct, frozen=True):
    """A file of it: its name there, and where it is."""

    name: str
    path: Path
    size: int


def members(name: str, data: Path, manifest: Path) -> tuple[Member, Member]:
    """The manifest comes first: who looks at the beginning knows what follows. Raises OSError."""
    return (
        Member(manifest_name(name), manifest, manifest.stat().st_size),
        Member(name, data, data.stat().st_size),
    )


def length(parts: tuple[Member, ...]) -> int:
    """Bytes of the tar."""
    return sum(len(_header(one, datetime.min)) + one.size + _gap(one.size) for one in parts) + 2 * tarfile.BLOCKSIZE


def blocks(parts: tuple[Member, ...], made: datetime) -> Iterator[bytes]:
    """The tar, piece by piece, none of them empty. Blocks; raises OSError."""
    for one in parts:
        yield _header(one, made)
        with one.path.open("rb") as file:
            left = one.size
            while left:
                block = file.read(min(BLOCK, left))
                if not block:
                    raise OSError(f"{one.path} has become shorter")
                left -= len(block)
                yield block
        if gap := _gap(one.size):
            yield bytes(gap)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _header(one: Member, made: datetime) -> bytes:
    info = tarfile.TarInfo(one.name)
    info.size = one.size
    info.mode = 0o644
    info.mtime = 0 if made == datetime.min else int(made.timestamp())
    return info.tobuf(tarfile.GNU_FORMAT)


def _gap(size: int) -> int:
    """Bytes up to the next block."""
    return -size % tarfile.BLOCKSIZE
