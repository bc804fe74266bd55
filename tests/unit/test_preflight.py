"""What is looked at before a worker asks Kafka anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import Unavailable, UserError
from app.local.server import free_ports
from app.preflight import check
from app.roles import Role
from app.settings import Settings


def settings(spool: Path, sources: str = "bluesky") -> Settings:
    kafka, web = free_ports(2)
    given = {"kafka": f"127.0.0.1:{kafka}", "web_port": web, "connect_timeout": 0.5}
    return Settings.model_validate(given | {"spool_dir": spool, "sources": sources})


@pytest.fixture
def no_directory(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file"


@pytest.mark.parametrize("role", [Role.TRACKER, Role.ALL])
async def test_who_listens_needs_a_place_to_keep_posts(role: Role, no_directory: Path) -> None:
    with pytest.raises(UserError, match=f"cannot be kept in {no_directory}.*set STARLING_SPOOL_DIR"):
        await check(role, settings(no_directory))


@pytest.mark.parametrize(("role", "sources"), [(Role.WORKER, "bluesky"), (Role.ALL, "none")])
async def test_who_does_not_listen_needs_none(role: Role, sources: str, no_directory: Path) -> None:
    with pytest.raises(Unavailable):
        await check(role, settings(no_directory, sources))
