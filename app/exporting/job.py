"""Carries out an export in a directory of its own, from the beginning or from where it was killed."""

from __future__ import annotations

import errno
import fcntl
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import msgspec
from msgspec import Struct

from app.clients.cassandra import session
from app.clients.stored import Bucket, Stored
from app.domain.exports import Wish
from app.errors import UserError
from app.exporting import comma
from app.exporting.choosing import Chooser, columns_of
from app.exporting.lines import Lines, bare_lines, json_lines
from app.exporting.manifest import File, manifest
from app.exporting.sink import Sink, write_whole
from app.settings import Settings

KEEP_SECONDS = 1.0  # between two places to go on from; a kill costs as much work, and a bucket's
LOCK_SECONDS = 15.0
_BLOCK = 1024 * 1024
# In the directory; who calls gives them their names.
DATA, MANIFEST, STARTED = "data", "manifest.json", "job.json"


class Job(Struct, frozen=True, kw_only=True):
    """What is to be done."""

    code: str
    born: int
    wish: Wish
    name: str  # of the file
    begun: datetime
    asked: dict[str, Any]  # who and when, for the manifest
    about: dict[str, Any]  # `manifest.about`

    def is_same_as(self, other: Job) -> bool:
        """Whether the other one can go on with what this has begun."""
        return (self.code, self.born, self.wish, self.name) == (other.code, other.born, other.wish, other.name)


class Told(Struct, frozen=True):
    """How far it is."""

    buckets: int
    buckets_all: int
    rows: int


class _Started(Struct, frozen=True):
    job: Job
    plan: list[Bucket]  # those that come later hold posts that came later


def run(
    settings: Settings, job: Job, work: Path, tell: Callable[[Told], None], allow: Callable[[], None] = lambda: None
) -> File:
    """Write the file and its manifest into the directory `work`. Blocks; repeatable.

    `tell` hears how far it is, `allow` raises UserError where no more room may be taken. Raises Unavailable, UserError.
    """
    try:
        work.mkdir(parents=True, exist_ok=True)
        with locked(work):
            return _written(work, job) or _run(settings, job, work, tell, allow)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"the disk that holds {work.parent} is full") from None
        raise


def _run(settings: Settings, job: Job, work: Path, tell: Callable[[Told], None], allow: Callable[[], None]) -> File:
    with session(settings) as cassandra:
        stored = Stored(settings, cassandra, job.code)
        started = _started(work, job, stored)
        job, plan = started.job, started.plan
        sink = _sink(job, work / DATA)
        try:
            rows = _fill(sink, plan, Chooser(stored, job.wish), tell, allow)
            allow()
            notes = sink.finish()
        finally:
            sink.close()
    return _describe(work, job, rows, notes)


def _fill(
    sink: Sink, plan: list[Bucket], chooser: Chooser, tell: Callable[[Told], None], allow: Callable[[], None]
) -> int:
    kept = sink.begin()
    rows, at = kept.rows, monotonic()
    tell(Told(kept.bucket, len(plan), rows))
    for number, bucket in enumerate(plan[kept.bucket :], kept.bucket + 1):
        for page in chooser.pages(bucket):
            sink.add(page)
            rows += len(page)
        if monotonic() - at >= KEEP_SECONDS:
            allow()
            sink.keep(number, rows)
            tell(Told(number, len(plan), rows))
            at = monotonic()
    sink.keep(len(plan), rows)
    tell(Told(len(plan), len(plan), rows))
    return rows


def _sink(job: Job, out: Path) -> Sink:
    wish, columns = job.wish, columns_of(job.wish)
    match wish.format:
        case "csv":
            return Lines(out, comma.encoder(columns, bom=wish.bom), comma.header(columns, bom=wish.bom))
        case "jsonl":
            return Lines(out, json_lines(columns))
        case "raw" | "ids":
            return Lines(out, bare_lines)
        case "parquet":
            from app.exporting.parquet import Parquet  # noqa: PLC0415 -- slow to import

            return Parquet(out, columns, {"starling_event": job.code})
        case "gexf":
            from app.exporting.gexf import Gexf  # noqa: PLC0415

            return Gexf(out, wish.network, f"{wish.network} of {job.about['event']['name']}", job.begun)


def begun(work: Path) -> Job | None:
    """What was begun in a directory, and is not in its place yet."""
    started = _read(work)
    return None if started is None else started.job


def _started(work: Path, job: Job, stored: Stored) -> _Started:
    """What was begun here, or the beginning of this. Raises UserError where it was something else."""
    started = _read(work)
    if started is None:
        started = _Started(job, stored.buckets())
        write_whole(work / STARTED, msgspec.json.encode(started))
    elif not started.job.is_same_as(job):
        raise UserError(f"{work} is of another export, which was not finished; remove it, or repeat that one")
    return started


def _read(work: Path) -> _Started | None:
    try:
        return msgspec.json.decode((work / STARTED).read_bytes(), type=_Started)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        raise UserError(f"{work} is not what this version of Starling has begun; remove it") from None


def _describe(work: Path, job: Job, rows: int, notes: dict[str, Any]) -> File:
    digest = hashlib.sha256()
    path = work / DATA
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    made = File(name=job.name, rows=rows, bytes=path.stat().st_size, sha256=digest.hexdigest())
    described = manifest(made, job.wish, job.asked | {"begun_at": job.begun}, job.about, notes)
    write_whole(work / MANIFEST, msgspec.json.format(msgspec.json.encode(described), indent=2))
    return made


def _written(work: Path, job: Job) -> File | None:
    """The file, where all was done but for putting it in its place."""
    started = _read(work)
    if started is None or not started.job.is_same_as(job) or not (work / MANIFEST).exists():
        return None
    return msgspec.convert(msgspec.json.decode((work / MANIFEST).read_bytes())["file"], File)


@contextmanager
def locked(work: Path) -> Iterator[None]:
    """Nobody else works in the directory meanwhile. Raises UserError."""
    with (work / "lock").open("w") as file:
        deadline = monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if monotonic() > deadline:
                    raise UserError(f"another process is at work in {work}") from None
                sleep(0.2)
        yield
