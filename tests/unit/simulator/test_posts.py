"""Posts that arise by themselves, what is written down of them, and the controls."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from app.domain.events import Event
from app.errors import UserError
from app.simulator import Options, Simulator
from tests.support.simulated import EVENTS, WITHIN, Client, commit, message_of, opened, post_of, v1, v2


def event(*keywords: str) -> Event:
    return Event(code="flood", name="Flood", keywords=keywords, status="active")


async def test_generated_posts_go_to_each_wire_in_its_form() -> None:
    async with opened(events=(event("flood"),), posts=300, rate=3000.0, wait=True) as client:
        await client.add("flood")
        socket = await client.session.ws_connect(EVENTS)
        assert "text" in (await message_of(socket))["payload"]["record"]
        await client.until(lambda state: state["made"] == 300)
        entries = await client.log()
        x = {entry["id"] for entry in entries if entry["wire"] == "x"}
        assert len(x) == 300
        assert {entry["id"] for entry in entries if entry["wire"] == "v1"} == x
        tagged = [entry for entry in entries if entry["wire"] == "x" and entry["tags"]]
        assert 50 < len(tagged) < 250
        await socket.close()


async def test_given_posts_are_sent_to_the_wire_of_their_form(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    lines = [v2(1), v1(2), {"delete": {}}, commit("a")]
    file.write_text("\n".join(map(json.dumps, lines)) + "\nno json\n")
    async with opened(files=(file,), posts=None, rate=1000.0) as client:
        await client.until(lambda state: state["made"] == 3)
        assert {(entry["wire"], entry["id"][-2:]) for entry in await client.log()} == {
            ("x", "1"),
            ("v1", "2"),
            ("jetstream", "/a"),
        }
    async with opened(files=(file,), posts=9, rate=1000.0, loop=True) as client:
        await client.until(lambda state: state["made"] == 9)


async def test_a_pool_is_sent_with_new_ids_as_fast_as_it_is_taken() -> None:
    async with opened(events=(event("flood"),), posts=3000, rate=0.0, pool=50, post_bytes=4096, wires=("x",)) as client:
        await client.add("flood", tag="e")
        response = await client.stream()
        read, ids = 0, set()
        async with asyncio.timeout(WITHIN):
            while read < 1000 and (await client.state())["made"] < 3000:
                post = await post_of(response)
                assert len(json.dumps(post)) > 4096
                ids.add(post["data"]["id"])
                read += 1
        assert len(ids) == read
        response.close()
        entries = await client.log()
        assert len({entry["id"] for entry in entries}) == len(entries) > 1000


async def test_pushed_posts_can_come_one_after_the_other(client: Client) -> None:
    await client.add("flood")
    await client.push(*(v2(number) for number in range(1, 31)), rate="0.1")
    await client.until(lambda state: state["counts"].get("x not connected", 0) > 0)
    assert [entry["id"] for entry in await client.log()] == ["1"], "the others are not due"


async def test_the_log_is_written_as_lines_and_bounded_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "rules.jsonl"
    async with opened(log=path, log_size=3) as client:
        await client.add("flood")
        await client.push(*(v2(number) for number in range(1, 6)))
        answer = (await client.ask("GET", "/control/log"))[1]
        assert answer["last"] == 6
        assert [entry["id"] for entry in answer["entries"]] == ["3", "4", "5"]
        assert [entry["seq"] for entry in (await client.ask("GET", "/control/log?since=5"))[1]["entries"]] == [6]
        assert (await client.ask("GET", "/control/log?since=6"))[1]["entries"] == []
        assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"kind": "x"}', b'{"kind": "cut", "count": 0}', b'{"kind": "status", "status": 200}', b'{"a": 1}'],
)
async def test_a_fault_that_is_none_is_refused_with_a_reason(client: Client, body: bytes) -> None:
    status, answer = await client.ask("POST", "/control/fault", data=body)
    assert status == 400
    assert answer["error"]


async def test_lines_that_are_no_posts_are_refused_and_none_is_sent(client: Client) -> None:
    for line in (b"{", b"1", b'{"data": {}}'):
        body = json.dumps(v2(1)).encode() + b"\n" + line
        status, answer = await client.ask("POST", "/control/posts", data=body)
        assert (status, answer["error"][:7]) == (400, "line 2:")
    assert (await client.ask("POST", "/control/posts?wire=v1", data=json.dumps(v2(1))))[0] == 400
    assert await client.log() == []


async def test_what_cannot_be_served_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        Simulator(Options(files=(tmp_path / "none",)))
    with pytest.raises(UserError, match="cannot plant 'rt'"):
        Simulator(Options(events=(event("rt"),)))
    async with opened() as client:
        with pytest.raises(UserError, match="cannot listen on"):
            await opened(port=client.simulator.port).__aenter__()
