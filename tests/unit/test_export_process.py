"""The process of a job, and the directory that it writes into: real ones, without a server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from app.domain.exports import Wish
from app.errors import UserError
from app.exporting import process
from app.exporting.job import DATA, MANIFEST, Job, begun
from app.exporting.manifest import File
from app.exporting.process import Order, Trouble, begin
from app.exporting.store import Store
from app.local.server import free_ports
from app.settings import Settings
from tests.support.waiting import until

NOW = datetime(2024, 5, 1, tzinfo=UTC)
JOB = Job(code="flood", born=1, wish=Wish(format="csv"), name="flood.csv", begun=NOW, asked={}, about={})
ORDER = Order("one", JOB)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Settings(export_dir=tmp_path, export_megabytes=1))


async def told(order: Order) -> process.Line:
    """What the process says first."""
    child = await begin(order)
    try:
        return await asyncio.wait_for(child.line(), 60)
    finally:
        await child.end()


async def test_a_server_that_is_away_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("STARLING_CASSANDRA", f"127.0.0.1:{port}")
    monkeypatch.setenv("STARLING_EXPORT_DIR", str(tmp_path))
    said = await told(ORDER)
    assert isinstance(said, Trouble)
    assert said.kind == "away"
    assert "Cassandra is not reachable" in said.why


async def test_a_directory_that_cannot_be_is_no_passing_trouble(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STARLING_EXPORT_DIR", str(tmp_path / "file"))
    said = await told(ORDER)
    assert isinstance(said, Trouble)
    assert said.kind == "refused"
    assert "Not a directory" in said.why


async def test_a_process_that_dies_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "COMMAND", ("sh", "-c", "kill -9 $$"))
    assert await told(ORDER) == Trouble("the process that wrote it ended with status -9", "died")


async def test_a_process_ends_with_its_manager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its standard input ends when the manager is killed: nothing else tells it so."""
    (port,) = free_ports(1)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)  # a Cassandra that says nothing
    monkeypatch.setenv("STARLING_CASSANDRA", f"127.0.0.1:{port}")
    monkeypatch.setenv("STARLING_CONNECT_TIMEOUT", "600")
    monkeypatch.setenv("STARLING_EXPORT_DIR", str(tmp_path))
    child = await begin(ORDER)
    try:
        directory = Store(Settings(export_dir=tmp_path)).work("one")
        await asyncio.to_thread(until, (directory / "lock").exists, "it is at work")
        assert child._process.stdin is not None
        child._process.stdin.close()
        assert await asyncio.wait_for(child._process.wait(), 60) == 1
    finally:
        await child.end()
        server.close()


def written(store: Store, export_id: str) -> None:
    """A job's directory as it is when all is written."""
    work = store.work(export_id)
    work.mkdir(parents=True)
    for name in ("job.json", "lock", "checkpoint.json", "part-000000.parquet", DATA):
        (work / name).write_text(name)
    file = File(name="flood.csv", rows=1, bytes=4, sha256="ab")
    (work / MANIFEST).write_bytes(msgspec.json.encode({"file": file}))


def test_what_is_written_is_put_in_its_place_whatever_kills_it(store: Store) -> None:
    written(store, "one")
    assert store.file("one") is None
    for _ in range(2):
        store.put("one")
        assert sorted(path.name for path in (store.root / "one").iterdir()) == sorted((DATA, MANIFEST))
        assert store.file("one") == File(name="flood.csv", rows=1, bytes=4, sha256="ab")
    assert store.data("one").read_text() == DATA


def test_a_store_has_one_id_for_all_that_share_it(store: Store, tmp_path: Path) -> None:
    assert store.id == Store(Settings(export_dir=tmp_path)).id
    assert store.id != Store(Settings(export_dir=tmp_path, topic_prefix="other-")).id
    assert [path.name for path in store.root.iterdir()] == ["store-id"]


def test_a_store_takes_no_more_than_it_may(store: Store) -> None:
    written(store, "one")
    store.allow()
    store.data("one").parent.mkdir()
    store.data("one").write_bytes(bytes(1_000_001))
    with pytest.raises(UserError, match="STARLING_EXPORT_MEGABYTES"):
        store.allow()


def test_what_nobody_wants_is_removed(store: Store) -> None:
    for export_id in ("one", "two", "three"):
        written(store, export_id)
    store.put("one")
    store.put("two")
    first = store.id
    assert sorted(store.tidy(lambda name: name == "one")) == ["three", "two"]
    assert sorted(path.name for path in store.root.iterdir()) == ["one", "store-id"]
    assert store.tidy(lambda _: True) == []
    assert store.id == first


def test_there_is_nothing_to_remove_where_there_is_nothing(store: Store) -> None:
    assert store.tidy(lambda _: False) == []


def test_what_another_version_has_begun_is_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"job": 1}')
    with pytest.raises(UserError, match="remove it"):
        begun(tmp_path)
    assert begun(tmp_path / "none") is None


def test_a_job_goes_on_with_its_own_alone() -> None:
    later = msgspec.structs.replace(JOB, begun=NOW + timedelta(hours=1), about={"event": 2})
    assert JOB.is_same_as(later)
    for changed in ({"code": "storm"}, {"born": 2}, {"wish": Wish(format="ids")}, {"name": "other"}):
        assert not JOB.is_same_as(msgspec.structs.replace(JOB, **changed))
