"""Every fault, on X."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import pytest
from aiohttp import ClientPayloadError

from app.simulator import account, connections, faults
from tests.support.simulated import FILTER, STREAM, WITHIN, Client, opened, post_of, v1, v2


async def test_silence_and_silence_with_keep_alives(client: Client) -> None:
    await client.add("flood")
    response = await client.stream()
    await client.fault("silence_with_keepalive")
    await client.push(v2(1))
    async with asyncio.timeout(WITHIN):
        assert set(await response.content.readexactly(6)) == set(b"\r\n")
    await client.fault("silence")
    await client.push(v2(2))
    await client.fault("clear")
    await client.push(v2(3))
    assert (await post_of(response))["data"]["id"] == "3"
    assert await client.why("1") == ["silence_with_keepalive"]
    assert await client.why("2") == ["silence"]


class Clock:
    """Of the simulator: an hour passes when a test says so."""

    time = staticmethod(time.time)

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (account, connections, faults):
        monkeypatch.setattr(module, "time", made)
    return made


async def test_silence_ends_by_itself_and_may_catch_connections_to_come(client: Client, clock: Clock) -> None:
    await client.add("flood")
    await client.fault("silence", seconds=60, later=True)
    response = await client.stream()
    await client.push(v2(1))
    clock.now += 59
    assert (await client.state())["connections"][0]["mood"] == "silence"
    clock.now += 1
    assert (await client.state())["connections"][0]["mood"] is None
    await client.push(v2(2))
    assert (await post_of(response))["data"]["id"] == "2"


async def test_a_half_open_connection_stays_in_the_way_until_it_is_ended(client: Client) -> None:
    await client.add("flood")
    response = await client.stream()
    await client.fault("half_open")
    await client.push(v2(1))
    response.close()
    assert (await client.ask("GET", STREAM))[0] == 429, "its end is not noticed"
    assert (await client.ask("DELETE", "/2/connections/all"))[1]["data"]["successful_kills"] == 1
    second = await client.stream()
    await client.push(v2(2))
    assert (await post_of(second))["data"]["id"] == "2"
    assert await client.why("1") == ["half_open"]


async def test_a_slow_drip_is_a_byte_at_a_time_and_what_had_not_dripped_was_not_sent(client: Client) -> None:
    await client.add("flood")
    response = await client.stream()
    await client.fault("slow_drip", interval=0.002)
    await client.push(v2(1))
    assert (await post_of(response))["data"]["id"] == "1"
    async with asyncio.timeout(WITHIN):
        while await client.why("1") != [""]:  # noqa: ASYNC110 -- the end of its chunk drips too
            await asyncio.sleep(0.01)
    await client.push(v2(2, "a flood " * 10_000))
    await client.fault("end")
    assert await client.why("2") == ["slow_drip"]
    with pytest.raises(ClientPayloadError):
        await post_of(response)


async def test_what_waits_while_it_is_stalled_comes_after_it_or_not_at_all(client: Client) -> None:
    await client.add("flood")
    response = await client.stream()
    await client.fault("stall")
    await client.push(v2(1), v2(2))
    async with asyncio.timeout(WITHIN):
        assert set(await response.content.readexactly(6)) == set(b"\r\n")
    assert await client.why("1") == []
    await client.fault("clear")
    assert [(await post_of(response))["data"]["id"] for _ in range(2)] == ["1", "2"]
    assert await client.why("2") == [""]
    await client.fault("stall")
    await client.push(v2(3))
    await client.fault("end")
    assert await client.why("3") == ["stall"]


async def test_a_line_is_cut_in_the_middle(client: Client) -> None:
    await client.add("flood")
    response = await client.stream()
    await client.fault("cut")
    await client.push(v2(1))
    with pytest.raises(ClientPayloadError):
        await post_of(response)
    assert await client.why("1") == ["cut"]
    assert [one["why"] for one in (await client.state())["past"]] == ["cut"]


async def test_a_stream_ends_in_good_order_or_with_a_message(client: Client) -> None:
    response = await client.stream()
    await client.fault("end")
    async with asyncio.timeout(WITHIN):
        assert not (await response.content.read()).strip()
    response = await client.stream()
    await client.fault("disconnect")
    error = (await post_of(response))["errors"][0]
    assert error["title"] == "operational-disconnect"
    async with asyncio.timeout(WITHIN):
        assert not (await response.content.read()).strip()


async def test_connects_are_refused(client: Client) -> None:
    await client.fault("status", status=503, count=2)
    await client.fault("status", status=429, retry_after=7)
    assert [(await client.ask("GET", STREAM))[0] for _ in range(2)] == [503, 503]
    async with client.session.get(STREAM) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
    await client.fault("too_many_connections")
    assert (await client.ask("GET", STREAM))[1]["connection_issue"] == "TooManyConnections"
    await client.stream()
    assert [entry["change"] for entry in await client.log("connection")] == ["refused"] * 4 + ["connected"]


async def test_requests_for_rules_are_refused_and_connects_are_not(client: Client) -> None:
    await client.fault("rules_status", status=503)
    await client.fault("rules_status", status=429, retry_after=7)
    await client.stream()
    assert (await client.ask("POST", f"{STREAM}/rules", json={"add": [{"value": "flood"}]}))[0] == 503
    async with client.session.get(f"{STREAM}/rules") as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
    assert (await client.ask("GET", f"{STREAM}/rules"))[0] == 200
    assert (await client.state())["rules"] == []


async def test_too_many_attempts_are_refused() -> None:
    async with opened(attempts=1) as client:
        (await client.stream()).close()
        await client.until(lambda state: not state["connections"])
        assert (await client.ask("GET", STREAM))[0] == 429


async def test_a_second_connection_ends_the_first_where_that_is_commanded(client: Client) -> None:
    await client.fault("evict")
    first = await client.stream()
    second = await client.stream()
    assert "errors" in await post_of(first)
    await client.add("flood")
    await client.push(v2(1))
    assert (await post_of(second))["data"]["id"] == "1"
    assert [one["why"] for one in (await client.state())["past"]] == ["evicted"]


async def test_duplicates_long_lines_and_broken_ones(client: Client) -> None:
    await client.add("flood")
    response = await client.stream()
    await client.fault("duplicates")
    await client.push(v2(1), v2(2))
    assert [(await post_of(response))["data"]["id"] for _ in range(3)] == ["1", "1", "2"]
    await client.fault("malformed")
    async with asyncio.timeout(WITHIN):
        while not (line := (await response.content.readuntil(b"\r\n")).strip()):
            pass
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)
    await client.fault("long_line")
    await client.push(v2(3))
    post = await post_of(response)
    assert post["data"]["id"] == "3"
    assert len(json.dumps(post)) > 300_000


async def test_withheld_posts_are_told_with_a_sum_that_begins_anew_with_each_connection(client: Client) -> None:
    async def limits(response: aiohttp.ClientResponse) -> list[int]:
        return [(await post_of(response))["limit"]["track"] for _ in range(2)]

    for _ in range(2):
        response = await client.session.post(FILTER, data={"track": "flood"})
        await client.fault("limit", wire="v1", count=2)
        await client.push(v1(1), v1(2), v1(3))
        assert await limits(response) == [1, 2]
        assert (await post_of(response))["id_str"] == "3"
        assert (await client.why("1"))[-1] == "limit"


async def test_a_line_that_is_no_post_can_be_sent_to_all(client: Client) -> None:
    response = await client.stream()
    await client.push({"anything": 1}, wire="x", raw="1")
    assert await post_of(response) == {"anything": 1}
