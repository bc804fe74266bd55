"""The directory of a manager's exports: one directory an export, beside it `ID.part` while it is being written.

Several managers may share it. It has an id of its own, by which one that does not share it knows that a file is
elsewhere.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import msgspec

from app.errors import UserError
from app.exporting.job import DATA, MANIFEST
from app.exporting.manifest import File
from app.settings import Settings

_ID = "store-id"
_PART = ".part"
_KEPT = (DATA, MANIFEST)


class Store:
    """Blocks; every method may raise OSError."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.exports
        self._most = settings.export_megabytes * 1_000_000
        self._id = ""

    @property
    def id(self) -> str:
        """Which directory it is, wherever it is mounted."""
        if not self._id:
            self.root.mkdir(parents=True, exist_ok=True)
            path = self.root / _ID
            if not path.exists():
                own = self.root / f"{_ID}.{os.getpid()}"
                own.write_text(uuid4().hex)
                with suppress(FileExistsError):  # another manager was first
                    path.hardlink_to(own)
                own.unlink()
            self._id = path.read_text().strip()
        return self._id

    def work(self, export_id: str) -> Path:
        """Where an export is written."""
        return self.root / f"{export_id}{_PART}"

    def put(self, export_id: str) -> None:
        """Put what was written in its place. Repeatable."""
        place = self.root / export_id
        with suppress(FileNotFoundError):  # it was put there before a kill
            self.work(export_id).rename(place)
        for rest in place.iterdir():
            if rest.name not in _KEPT:
                rest.unlink()

    def file(self, export_id: str) -> File | None:
        """What there is of an export, if it is whole."""
        try:
            content = self.manifest(export_id).read_bytes()
        except FileNotFoundError:
            return None
        return msgspec.convert(msgspec.json.decode(content)["file"], File)

    def data(self, export_id: str) -> Path:
        """The file."""
        return self.root / export_id / DATA

    def manifest(self, export_id: str) -> Path:
        """Its manifest."""
        return self.root / export_id / MANIFEST

    def allow(self) -> None:
        """Raise UserError where no more room may be taken."""
        used = self.used()
        if used > self._most:
            raise UserError(
                f"the exports kept here have {used // 1_000_000:,} MB, and {self._most // 1_000_000:,} are allowed: "
                "remove some, or raise STARLING_EXPORT_MEGABYTES"
            )

    def used(self) -> int:
        """Bytes of all files."""
        found = 0
        for directory, _, names in os.walk(self.root):
            for name in names:
                with suppress(FileNotFoundError):  # removed meanwhile
                    found += (Path(directory) / name).stat().st_size
        return found

    def tidy(self, wanted: Callable[[str], bool]) -> list[str]:
        """Remove the exports that nobody wants; their ids."""
        if not self.root.exists():
            return []
        names = {path.name.removesuffix(_PART) for path in self.root.iterdir() if path.is_dir()}
        gone = [name for name in names if not wanted(name)]
        for name in gone:
            for path in (self.root / name, self.work(name)):
                shutil.rmtree(path, ignore_errors=True)
        return gone
