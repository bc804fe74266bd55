"""Who owns an event, by name: whoever is there, and nobody by having somebody's name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from msgspec.structs import replace

from app.clients import tokens
from app.domain.events import Event
from app.domain.people import Caller, Person, Rank
from tests.support.api import SECRET
from tests.unit.test_serving import Noting, served

Client = TestClient[Any, Any]
PEOPLE: dict[str, Rank] = {"ada": "admin", "edda": "editor", "olga": "viewer", "vera": "viewer"}


class Deciding(Noting):
    """A desk where everything that is to be decided is carried out."""

    def __init__(self) -> None:
        super().__init__(web_auth=True, token_secret=SECRET)
        for name, rank in PEOPLE.items():
            self.views.people.items[name] = Person(name=name, rank=rank, added=datetime.now(UTC), by="a test")
        self.events = self.views.events.view.items
        self.events["flood"] = replace(self.events["flood"], owners=("olga", "gone"))
        self.decided: list[Any] = []

    async def decide(self, caller: Caller, action: Any, code: str, why: str = "", **rest: Any) -> Event:
        self.decided.append((action, code, rest["definition"].owners))
        return self.events["flood"]


@pytest.fixture
def desk() -> Deciding:
    return Deciding()


@pytest.fixture
async def client(desk: Deciding) -> AsyncIterator[Client]:
    async with served(desk) as made:
        yield made


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.issue(SECRET, 'bearer', name, 0, 60)}"}


async def own(client: Client, *owners: str) -> tuple[int, str]:
    answer = await client.put("/api/v1/events/flood/owners", json={"owners": owners}, headers=bearer("olga"))
    return answer.status, (await answer.json()).get("detail", "")


async def test_only_who_is_there_can_become_an_owner(desk: Deciding, client: Client) -> None:
    why = "there is nobody called 'emil' who could own it: add them first"
    assert await own(client, "olga", "emil") == (422, why)
    new = {"name": "Storm", "keywords": ["storm"], "owners": ["emil"]}
    answer = await client.post("/api/v1/events", json=new, headers=bearer("edda"))
    assert (answer.status, (await answer.json())["detail"]) == (422, why)
    file = "events: [{code: storm, name: Storm, keywords: [storm], owners: [emil]}]"
    imported = await client.post(
        "/api/v1/yaml?dry=true", data=file, headers={**bearer("edda"), "Content-Type": "application/yaml"}
    )
    assert [(one["fate"], one["why"]) for one in (await imported.json())["events"]] == [("refused", why)]
    assert desk.decided == []
    # Who stands stays, be it that they are gone; a provider's people may be yet to come.
    assert (await own(client, "gone", "vera", "oidc:ben"))[0] == 200
    assert desk.decided == [("edit", "flood", ("gone", "vera", "oidc:ben"))]


async def test_nobody_new_comes_by_events_with_the_name_of_somebody_who_is_gone(desk: Deciding, client: Client) -> None:
    answer = await client.put("/api/v1/people/gone", json={"role": "viewer"}, headers=bearer("ada"))
    assert answer.status == 409
    assert "'gone' would own flood" in (await answer.json())["detail"]
    assert "gone" not in desk.views.people.items
    page = await client.post("/people", data={"name": "gone", "role": "viewer"}, headers=bearer("ada"))
    assert page.status == 409
    again = await client.put("/api/v1/people/olga", json={"role": "editor"}, headers=bearer("ada"))
    assert again.status == 200, "she is there already"
    assert (await client.put("/api/v1/people/emil", json={"role": "viewer"}, headers=bearer("ada"))).status == 201


async def test_an_owner_who_is_a_viewer_has_the_page_of_what_an_owner_may_do(client: Client) -> None:
    found = await client.get("/events/flood/manage", headers=bearer("olga"))
    page = await found.text()
    assert found.status == 200
    assert 'action="/events/flood/owners"' in page
    assert 'action="/events/flood/clone"' not in page, "to make an event is an editor's"
    assert '<a href="/events/flood/manage" aria-current="page">' in page
    assert 'clone"' in await (await client.get("/events/flood/manage", headers=bearer("edda"))).text()
    assert (await client.get("/events/flood/manage", headers=bearer("vera"))).status == 403
