"""X's batch compliance jobs, spoken with the simulator: what is asked, what comes back, and what fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.settings import Settings
from app.simulator.options import Options
from app.simulator.server import Simulator
from app.sources.source import Broken
from app.sources.x_compliance import Compliance, retraction_of_result


@pytest.fixture
async def x() -> AsyncIterator[Simulator]:
    async with Simulator(Options(posts=0, token="a-token")) as made:  # noqa: S106 -- of nobody
        yield made


@pytest.fixture
async def jobs(x: Simulator) -> AsyncIterator[Compliance]:
    made = Compliance(Settings(x_url=x.url, x_bearer_token=SecretStr("a-token")))
    yield made
    await made.close()


async def test_a_job_from_its_ids_to_its_results(x: Simulator, jobs: Compliance, tmp_path: Path) -> None:
    x.jobs.gone = {"12": "deleted", "13": "scrub_geo", "99": "deleted"}
    ids = tmp_path / "ids"
    ids.write_text("11\n12\n13\n")
    job = await jobs.create("a name")
    with pytest.raises(Broken, match="still works on another job"):
        await jobs.create("another")
    await jobs.upload(job, ids)
    seen: list[str] = []
    done = await jobs.wait(job.id, seen.append)
    assert seen == ["in_progress", "complete"]
    found = [one async for one in jobs.results(done)]
    assert [(one.post, one.kind, one.why) for one in found] == [
        ("12", "delete", "X: deleted"),
        ("13", "geo", "X: scrub_geo"),
    ]


@pytest.mark.parametrize(("status", "said"), [("failed", "job 7 has failed"), ("expired", "job 7 has expired")])
async def test_a_job_that_came_to_nothing(x: Simulator, jobs: Compliance, status: Any, said: str) -> None:
    x.jobs.told = {"7": {"id": "7", "type": "tweets", "status": status}}
    with pytest.raises(Broken, match=said):
        await jobs.wait("7", lambda _: None)


async def test_who_has_no_token_is_told_so(x: Simulator) -> None:
    jobs = Compliance(Settings(x_url=x.url, x_bearer_token=SecretStr("another")))
    try:
        with pytest.raises(Broken, match="refuses the token"):
            await jobs.create("a name")
    finally:
        await jobs.close()


async def test_ids_go_to_no_address_that_is_not_encrypted() -> None:
    jobs = Compliance(Settings(x_url="https://x.example", x_bearer_token=SecretStr("a-token")))
    try:
        for address in ("http://storage.example/1", "file:///etc/passwd", ""):
            with pytest.raises(Broken, match="names no address"):
                jobs._safe(address)
        assert str(jobs._safe("https://storage.example/1?signature=a%2Fb")).endswith("a%2Fb"), "signed as it is"
    finally:
        await jobs.close()


def test_what_is_odd_beside_an_id_keeps_no_post() -> None:
    found = retraction_of_result(b'{"id": "12", "redacted_at": "2026-05-01T10:00:00.000Z", "reason": "scrub_geo"}')
    assert (found.post, found.kind, found.at) == ("12", "geo", 1_777_629_600_000)
    for odd in ("null", '""', "5", "[]", '"0001-01-01"'):
        line = f'{{"id": 12, "action": {odd}, "reason": {odd}, "redacted_at": {odd}}}'
        found = retraction_of_result(line.encode())
        assert (found.post, found.kind) == ("12", "delete")
        assert found.at > 1_777_629_600_000


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"action": "delete"}', b'{"id": ""}', b'{"id": null}'])
def test_a_result_that_cannot_be_read_is_not_passed_over(line: bytes) -> None:
    with pytest.raises(Broken):
        retraction_of_result(line)
