"""Exports as they are found by their ids, and handed out though a file goes meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.clients.exports import key_of
from app.domain.exports import Asked, Export, Wish
from app.settings import Settings
from app.web.export_desk import ExportDesk, Ready
from app.web.limits import Places
from app.web.problems import Failed
from app.web.register import routes
from tests.support.events import active
from tests.unit.test_serving import Noting, served

NOW = datetime(2026, 5, 1, tzinfo=UTC)
EVENT = active("flood", "water")


def asked(number: int) -> Asked:
    at = NOW + timedelta(seconds=number)
    return Asked(id=f"{number:032x}", code=EVENT.code, born=EVENT.born, wish=Wish(format="csv"), at=at, who="ann")


async def _told(*_: Any) -> None:
    """It is taken."""


def test_an_export_is_found_by_its_id_however_many_are_newer(tmp_path: Path) -> None:
    view = SimpleNamespace(items={key_of(one).decode(): one for one in map(asked, range(600))})
    views: Any = SimpleNamespace(exports=view)
    desk = ExportDesk(Settings(export_dir=tmp_path), views, _told)
    assert len(desk.of(EVENT)) == 500
    assert desk.one(EVENT, asked(0).id).asked == asked(0)
    with pytest.raises(Failed, match="has no export"):
        desk.one(EVENT, asked(600).id)


class _Going:
    """Exports whose files are there when they are looked at, and removed before they are read."""

    def __init__(self, directory: Path) -> None:
        self.fetched = Places("downloads", 1, 1)
        self._ready = Ready(Export(asked(1)), "flood.csv", directory / "data", directory / "manifest", "")

    def one(self, *_: Any) -> Export:
        return self._ready.export

    async def ready(self, _: Export) -> Ready:
        return self._ready


@pytest.mark.parametrize("part", ["manifest", "bundle"])
async def test_a_file_that_is_removed_before_it_is_read_is_gone(tmp_path: Path, part: str) -> None:
    desk = Noting()
    exports: Any = _Going(tmp_path)
    desk.exports = exports
    async with served(desk, [route for route in routes() if route.name == f"exports.{part}"]) as client:
        answer = await client.get(f"/api/v1/events/flood/exports/{asked(1).id}/{part}")
        assert (answer.status, (await answer.json())["reason"]) == (410, "state")
