"""Has a server write an export, and fetches it: from where it was, when that was broken off."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from app.domain.exports import Wish
from app.errors import UserError
from app.exporting.job import DATA, MANIFEST, STARTED, locked
from app.exporting.manifest import File
from app.exporting.sink import write_whole
from app.web.export_desk import Shown
from cli.api_client import ApiClient, Refused
from cli.service import server
from cli.terminal import safe

ASKED = "asked.json"
_LOOK_SECONDS = 1.0
_BLOCK = 1024 * 1024


class Asked(Struct, frozen=True):
    """What a server was asked for."""

    url: str
    code: str
    wish: Wish
    id: str


def begun(work: Path) -> Wish | None:
    """What was wished of an export that was begun there. Raises UserError."""
    if (work / STARTED).exists():
        raise UserError(f"{work} is of an export that was written here; remove it, or go on with `starling --direct`")
    before = _read(work)
    return None if before is None else before.wish


def export(code: str, wish: Wish, _: str, work: Path, tell: Callable[[float, int], None]) -> File:
    """Have the file and its manifest in the directory `work`. Raises UserError, Unavailable."""
    meant = server()
    assert meant is not None  # noqa: S101 -- it was looked at before
    work.mkdir(exist_ok=True)
    with locked(work):
        return asyncio.run(_export(ApiClient(meant), code, wish, work, tell))


async def _export(api: ApiClient, code: str, wish: Wish, work: Path, tell: Callable[[float, int], None]) -> File:
    asked = _read(work)
    if asked is None:
        shown = await api.post(f"/events/{code}/exports", wish, Shown)
        asked = Asked(api.url, code, wish, shown.id)
        write_whole(work / ASKED, msgspec.json.encode(asked))
    elif (asked.url, asked.code, asked.wish) != (api.url, code, wish):
        raise UserError(f"{work} is of another export, which was not finished; remove it, or repeat that one")
    path = f"/events/{code}/exports/{asked.id}"
    done = await _made(api, path, work, tell)
    await _fetched(api, f"{path}/file", done, work / DATA)
    write_whole(work / MANIFEST, (await api.send("GET", f"{path}/manifest")).body)
    return File(name=done.file, rows=done.rows, bytes=done.bytes, sha256=done.sha256)


async def _made(api: ApiClient, path: str, work: Path, tell: Callable[[float, int], None]) -> Shown:
    """The export, once the server has written it. Raises UserError where it will not."""
    last: Shown | None = None
    while True:
        try:
            shown = await api.get(path, Shown)
        except Refused as refused:
            raise _forgotten(work, str(refused)) from None
        if shown.state == "done":
            return shown
        if shown.state not in ("waiting", "running"):
            raise _forgotten(work, f"the export is {shown.state}" + (f": {safe(shown.why)}" if shown.why else ""))
        if last is None or (shown.share, shown.rows) != (last.share, last.rows):
            tell(shown.share, shown.rows)
        last = shown
        await asyncio.sleep(_LOOK_SECONDS)


async def _fetched(api: ApiClient, path: str, done: Shown, data: Path) -> None:
    """Have the whole file, of which a part may be there. Raises UserError where it is another than was written."""
    with data.open("ab") as file:
        if file.tell() > done.bytes:
            file.truncate(0)
        if file.tell() < done.bytes:
            await api.fetch(path, file)
    _check(data, done.sha256)


def _check(data: Path, sha256: str) -> None:
    """Raise UserError, and forget the file, where it is another one."""
    digest = hashlib.sha256()
    with data.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != sha256:
        data.unlink()
        raise UserError("what was fetched is not what the server has written; the same command fetches it anew")


def _read(work: Path) -> Asked | None:
    try:
        return msgspec.json.decode((work / ASKED).read_bytes(), type=Asked)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        raise UserError(f"{work} is not what this version of Starling has begun; remove it") from None


def _forgotten(work: Path, why: str) -> UserError:
    """The same command is to ask anew, and not for what is no more."""
    for name in (ASKED, DATA):
        with suppress(FileNotFoundError):
            (work / name).unlink()
    return UserError(f"{why}; the same command asks for it anew")
