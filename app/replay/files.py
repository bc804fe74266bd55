"""Opens what is to be sent: a file, or an object of S3, with what tells whether it is still the same.

Of S3 the AWS SDK's own settings count (`AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, a profile and so on).
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias, cast

from app.errors import UserError

Address: TypeAlias = Path | str  # of a file; s3://bucket/key of an object

HEAD_BYTES = 64 * 1024
_S3 = "s3://"
_AHEAD_BYTES = 4 * 1024 * 1024  # of an object, by one request
_PATIENCE_SECONDS = 20.0


class Opened(NamedTuple):
    """What is open. `raw` can seek; its position says how much was read."""

    key: str  # tells it from all others
    name: str  # without where it lies
    raw: BinaryIO
    size: int  # bytes
    mtime_ns: int
    head: Callable[[int], bytes]  # so many of its first bytes, HEAD_BYTES at most
    check: Callable[[], object]  # raises UserError if what was read may be of two objects


def opened(address: Address) -> Opened:
    """Raises UserError, in one line, where it cannot be read."""
    if isinstance(address, str) and address.startswith(_S3):
        return _object(address)
    path = Path(address)
    try:
        raw = io.FileIO(path, opener=_at_once)
        status = os.fstat(raw.fileno())
    except FileNotFoundError:
        raise UserError(f"{address}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if not stat.S_ISREG(status.st_mode):
        raw.close()
        raise UserError(f"{path}: not a regular file")
    return Opened(
        str(path.resolve()),
        path.name,
        cast(BinaryIO, raw),
        status.st_size,
        status.st_mtime_ns,
        lambda length: os.pread(raw.fileno(), length, 0),
        lambda: None,  # what is open stays, whatever gets its name
    )


def _at_once(path: str, flags: int) -> int:
    """Open what may be a pipe without waiting until somebody writes."""
    return os.open(path, flags | os.O_NONBLOCK)


def _object(url: str) -> Opened:
    from pyarrow import fs  # noqa: PLC0415 - slow to import, and who sends a file needs none of it

    try:
        client = fs.S3FileSystem(
            endpoint_override=os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"),
            connect_timeout=_PATIENCE_SECONDS,
            request_timeout=_PATIENCE_SECONDS,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=3),
        )
        info = client.get_file_info(url.removeprefix(_S3))
        if info.type != fs.FileType.File:
            raise UserError(f"{url}: no such object")
        raw: Any = client.open_input_file(url.removeprefix(_S3))
        head = raw.read_at(min(HEAD_BYTES, info.size), 0)
        tag = _tag(raw)
    except (OSError, ValueError) as error:  # ValueError: an address that is none
        raise UserError(f"{url}: {_told(error)}") from None
    ahead = io.BufferedReader(raw, _AHEAD_BYTES)

    def check() -> None:
        """Each piece is asked for by the key, whichever object has it by then."""
        with client.open_input_file(url.removeprefix(_S3)) as now:
            if _tag(now) != tag:
                raise UserError(f"{url}: was replaced while it was read; --fresh sends it again whole")

    return Opened(
        url, url.rpartition("/")[2], ahead, info.size, info.mtime_ns or 0, lambda length: head[:length], check
    )


def _tag(file: Any) -> Any:
    return (file.metadata() or {}).get("ETag")


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
