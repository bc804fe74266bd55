"""X v1.1 over real sockets: what a form asks for, and how the wire differs."""

from __future__ import annotations

import pytest

from tests.support.simulated import FILTER, Client, post_of, v1


@pytest.mark.parametrize(
    ("parameters", "matches"),
    [
        ({"track": "flood"}, True),
        ({"track": "sun,river flood"}, False),
        ({"track": "sun,A flood"}, True),
        ({"track": "#river"}, True),
        ({"track": "river"}, True),
        ({"track": "@bob"}, True),
        ({"track": "news.example"}, True),
        ({"follow": "1"}, True),
        ({"follow": "3"}, False),
        ({"locations": "8,47,9,48"}, True),
        ({"locations": "8,47,8.1,47.1,0,0,1,1"}, False),
    ],
)
async def test_what_v1_is_asked_for(client: Client, parameters: dict[str, str], matches: bool) -> None:
    response = await client.session.post(FILTER, data=parameters)
    assert response.status == 200
    entities = {
        "hashtags": [{"text": "River"}],
        "user_mentions": [{"screen_name": "Bob"}],
        "urls": [{"url": "https://t.co/1", "expanded_url": "https://news.example/a"}],
    }
    coordinates = {"type": "Point", "coordinates": [8.5, 47.5]}
    await client.push(v1(1) | {"entities": entities, "coordinates": coordinates})
    assert await client.why("1") == [""] if matches else ["no rule"]


async def test_v1_ends_the_older_connection_with_code_7(client: Client) -> None:
    first = await client.session.post(FILTER, data={"track": "flood"})
    second = await client.session.post(FILTER, data={"track": "flood"})
    assert (await post_of(first))["disconnect"]["code"] == 7
    await client.push(v1(1))
    assert (await post_of(second))["id_str"] == "1"


@pytest.mark.parametrize(
    ("parameters", "status"),
    [({}, 406), ({"follow": "ann"}, 406), ({"locations": "1,2,3"}, 406), ({"locations": "9,9,1,1"}, 416)],
)
async def test_v1_refuses_what_it_cannot_filter_by(client: Client, parameters: dict[str, str], status: int) -> None:
    assert (await client.ask("POST", FILTER, data=parameters))[0] == status


async def test_v1_answers_420_where_x_answers_429(client: Client) -> None:
    await client.fault("too_many_connections", wire="v1")
    assert (await client.ask("POST", FILTER, data={"track": "a"}))[0] == 420
