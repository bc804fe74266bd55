"""X's counts of a selection, asked of a simulated X over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.events import Definition, Event
from app.domain.preview import event_to_try
from app.settings import Settings
from app.sources.source import Broken, Trouble
from app.sources.x_counts import counted_by_x
from tests.support.simulated import opened, v2
from tests.support.x_server import TOKEN, FakeX, serving


def flood(**more: Any) -> Event:
    return event_to_try(Definition(**{"keywords": ("flood",)} | more))


def settings(url: str, token: str | None = TOKEN, **more: Any) -> Settings:
    return Settings.model_validate({"x_url": url, "x_bearer_token": token, "x_counts": True} | more)


def recent(number: int, text: str) -> dict[str, Any]:
    post = v2(number, text)
    post["data"]["created_at"] = (datetime.now(UTC) - timedelta(hours=number)).isoformat()
    return post


async def test_x_counts_by_the_hour_without_a_post_being_read() -> None:
    async with opened(token=TOKEN) as client:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        lines = b"\n".join(
            json.dumps(recent(n, text)).encode() for n, text in enumerate(["a flood", "sun", "floods", "#flood!"], 1)
        )
        await client.ask("POST", "/control/posts", data=lines, headers=headers)
        counted = await counted_by_x(settings(client.simulator.url), flood())
        assert (counted.source, counted.total, counted.queries, counted.left_out) == ("X", 2, 1, ())
        assert sum(one.hits for one in counted.hours) == 2
        assert counted.until - counted.since == 7 * 24 * 3_600_000
        with pytest.raises(Broken, match="refuses the token") as broken:
            await counted_by_x(settings(client.simulator.url, "another"), flood())
        assert broken.value.trouble is Trouble.DENIED


async def test_many_keywords_are_counted_by_several_queries_and_no_more_than_four() -> None:
    async with opened() as client:
        few = flood(keywords=tuple(f"flood{n}" for n in range(20)), languages=("en",))
        counted = await counted_by_x(settings(client.simulator.url), few)
        assert 1 < counted.queries <= 4
        many = flood(keywords=("flood", *(f"{'x' * 40}{n}" for n in range(100)), "+++"))
        counted = await counted_by_x(settings(client.simulator.url), many)
        assert counted.queries == 4
        assert any("all 4 rules" in text for text in counted.left_out)
        assert any("signs" in text for text in counted.left_out)


@pytest.mark.parametrize(
    ("answer", "trouble", "said"),
    [
        ((429, {"retry-after": "7"}, {"title": "Too Many Requests"}), Trouble.RATE, "asked too often for its counts"),
        ((403, {}, {"detail": "not in this plan"}), Trouble.DENIED, "not in this plan"),
        ((200, {}, {"data": [{"start": "yesterday"}]}), Trouble.HTTP, "in a form that is not known"),
    ],
)
async def test_what_x_refuses_is_one_line(answer: Any, trouble: Trouble, said: str) -> None:
    fake = FakeX()
    fake.answer = answer
    async with serving(fake) as url:
        with pytest.raises(Broken, match=said) as broken:
            await counted_by_x(settings(url), flood())
    assert broken.value.trouble is trouble
    assert "\n" not in str(broken.value)
