"""Exports as pages and the API ask for them and hand them out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from agents.sending import Outgoing
from app.clients.exports import key_of
from app.domain.events import Event
from app.domain.exports import (
    Asked,
    Export,
    State,
    Wish,
    Withdrawn,
    beyond_quota,
    checked,
    exports_of,
)
from app.domain.people import Caller
from app.errors import Unavailable
from app.exporting.store import Store
from app.settings import Settings
from app.topics import EXPORTS, full_name
from app.web.catching_up import caught_up, caught_up_first
from app.web.limits import Places
from app.web.problems import Failed, too_many
from tables.manager_views import ManagerViews

_AGAIN_SECONDS = 60.0
_FETCHED, _FETCHED_BY_ONE = 64, 8  # files at once
_LISTED = 500  # the newest of an event


class Shown(Struct, frozen=True, kw_only=True):
    """An export as the API shows it."""

    id: str
    code: str
    state: State
    why: str  # it failed, or what it waits for
    wish: Wish
    asked_at: datetime
    asked_by: str
    share: float  # of its buckets that are read, of 1
    rows: int
    bytes: int
    file: str  # its name, once it is done
    sha256: str
    expires: datetime | None
    host: str  # of the manager that writes it, or has it
    here: bool  # whether this manager can hand it out


class Ready(Struct, frozen=True):
    """A file that can be handed out."""

    export: Export
    name: str
    data: Path
    manifest: Path
    sha256: str


class ExportDesk:
    """What handlers have of exports. One of a process."""

    def __init__(self, settings: Settings, views: ManagerViews, tell: Callable[..., Awaitable[None]]) -> None:
        self._settings = settings
        self._view = views.exports
        self._tell = tell
        self._store = Store(settings)
        self.fetched = Places("downloads", _FETCHED, _FETCHED_BY_ONE)
        self._asking = asyncio.Lock()  # a person's quota is looked at and used by one request after the other

    def of(self, event: Event) -> list[Export]:
        """The exports of an event, the newest first."""
        return sorted(self._every(event), key=lambda one: (one.asked.at, one.asked.id), reverse=True)[:_LISTED]

    def one(self, event: Event, export_id: str) -> Export:
        """One of them. Raises Failed."""
        for export in self._every(event):
            if export.asked.id == export_id:
                return export
        raise Failed(404, f"event {event.code!r} has no export {export_id[:40]!r}", reason="unknown")

    async def shown(self, exports: list[Export]) -> list[Shown]:
        """Exports as they are shown."""
        store, now = await self._store_id(), _now()
        return [_shown(one, store, now) for one in exports]

    async def ask(self, caller: Caller, event: Event, wish: Wish) -> Export:
        """Ask for an export. Raises Failed, NotDone, Unavailable."""
        try:
            wish = checked(wish, event)
        except ValueError as wrong:
            raise Failed(422, str(wrong), reason="invalid") from None
        if event.status == "purging":
            raise Failed(409, f"event {event.code!r} is being purged", reason="state")
        async with self._asking:
            await caught_up_first(self._view, self._settings.command_timeout)
            now = _now()
            settings = self._settings
            limits = {"in_hand": settings.exports_in_hand, "a_day": settings.exports_a_day}
            if why := beyond_quota(self._all(), caller.name, now, **limits):
                raise too_many(_AGAIN_SECONDS, why)
            asked = Asked(id=uuid4().hex, code=event.code, born=event.born, wish=wish, at=now, who=caller.name)
            await self._write(asked)
        return Export(asked)

    async def withdraw(self, caller: Caller, export: Export) -> None:
        """Break it off, or remove its file. Raises NotDone, Unavailable."""
        await caught_up_first(self._view, self._settings.command_timeout)
        if export.asked.withdrawn is None:
            await self._write(replace(export.asked, withdrawn=Withdrawn(_now(), caller.name)))

    async def ready(self, export: Export) -> Ready:
        """Its file, if it is here. Raises Failed."""
        state, progress = export.state(_now()), export.progress
        if state in _GONE:
            raise Failed(410, f"the export {_GONE[state]}", reason="state")
        if state != "done" or progress is None:
            raise Failed(409, f"the export is {state}", reason="state", headers={"Retry-After": "2"})
        paths = self._store.data(export.asked.id), self._store.manifest(export.asked.id)
        if progress.store != await self._store_id() or not await asyncio.to_thread(_are_there, *paths):
            elsewhere = f"the file is with the manager on {progress.host}, whose STARLING_EXPORT_DIR is not this one's"
            raise Failed(409, elsewhere, reason="elsewhere")
        return Ready(export, progress.file, *paths, progress.sha256)

    def _every(self, event: Event) -> list[Export]:
        return [one for one in self._all() if (one.asked.code, one.asked.born) == (event.code, event.born)]

    def _all(self) -> list[Export]:
        return list(exports_of(self._view.items.values()).values())

    async def _store_id(self) -> str:
        try:
            return await asyncio.to_thread(lambda: self._store.id)
        except OSError:
            return ""  # whoever writes exports says why it cannot be used

    async def _write(self, asked: Asked) -> None:
        topic = full_name(EXPORTS, self._settings)
        await self._tell(Outgoing(topic, key_of(asked), msgspec.json.encode(asked)))
        try:
            await caught_up(self._view, self._settings.command_timeout)
        except Unavailable as away:
            raise Unavailable(f"it was asked for, but {away}") from None


_GONE = {
    "cancelled": "was broken off",
    "failed": "has failed",
    "removed": "was removed",
    "expired": "is gone: its time is over",
}


def _shown(export: Export, store: str, now: datetime) -> Shown:
    asked, progress = export.asked, export.progress
    state = export.state(now)
    return Shown(
        id=asked.id,
        code=asked.code,
        state=state,
        why=progress.why if progress else "",
        wish=asked.wish,
        asked_at=asked.at,
        asked_by=asked.who,
        share=1.0 if state == "done" else progress.share if progress else 0.0,
        rows=progress.rows if progress else 0,
        bytes=progress.bytes if progress else 0,
        file=progress.file if progress else "",
        sha256=progress.sha256 if progress else "",
        expires=progress.expires if progress else None,
        host=progress.host if progress else "",
        here=state == "done" and progress is not None and progress.store == store,
    )


def _are_there(*paths: Path) -> bool:
    return all(path.is_file() for path in paths)


def _now() -> datetime:
    return datetime.now(UTC)
