"""Events changed by the API: who may do what, conflicts, history, files, and that a refusal leaves nothing behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.local.stack import Stack
from tests.support import events
from tests.support.api import FORM, SECRET, Api, Replied, api
from tests.support.place import place
from tests.support.together import Running, Together
from tests.support.waiting import until
from tests.support.workers import worker

scenarios = Together(at_once=2)
EVENTS = "/api/v1/events"
NAME = "سيل <script>alert(1)</script> 洪水"


def change(caller: Api, method: str, path: str, body: Any = None, status: int = 200, version: int | None = None) -> Any:
    headers = {} if version is None else {"If-Match": f'"{version}"'}
    found = caller.send(method, f"{EVENTS}{path}", body, headers)
    assert found.status == status, (path, found)
    return found.json if found.body else None


@scenarios.add
def an_event_lives_by_the_api_from_its_creation_to_its_purge(stack: Stack) -> None:
    with place(stack, token_secret=SECRET) as settings, worker(settings, "all") as running:
        running.wait_ready()
        edda, vera = api(running, "edda", "editor"), api(running, "vera", "viewer")
        ada = api(running, "ada", "admin")
        _created(edda, vera)
        _conflicts(edda)
        _states(edda)
        _owned(edda, ada)
        _told(vera)
        _files(edda, vera)
        _gone(edda, ada)
        done = [one for one in events.events(settings).values() if one.code == "flood"]
        assert not done, "a purge leaves nothing"
        _two_owners(edda, ada)


def _created(edda: Api, vera: Api) -> None:
    new = {"name": NAME, "code": "flood", "keywords": ["flood"], "draft": True, "why": "it rains"}
    change(vera, "POST", "", new, 403)
    made = edda.send("POST", EVENTS, new)
    assert (made.status, made.headers["ETag"], made.headers["Location"]) == (201, '"1"', f"{EVENTS}/flood")
    assert (made.json["status"], made.json["owners"], made.json["name"]) == ("draft", ["edda"], NAME)
    assert change(edda, "POST", "", new, 409)["reason"] == "exists"
    assert "give one" in change(edda, "POST", "", {"name": "洪水", "keywords": ["洪水"]}, 422)["detail"]
    assert "at least one keyword" in change(edda, "POST", "", {"name": "none"}, 422)["detail"]
    assert change(edda, "POST", "", {"name": "Wind Storm", "keywords": ["wind"]}, 201)["code"] == "wind-storm"
    found = edda.post("/api/v1/advice", {"keywords": ["FLOOD", "the", "wind"], "code": "flood"})["advice"]
    assert [(one["about"], one["events"]) for one in found] == [("broad", []), ("overlap", ["wind-storm"])]


def _conflicts(edda: Api) -> None:
    first = change(edda, "PATCH", "/flood", {"keywords": ["flood", "dike"], "why": "more"}, version=1)
    assert first["version"] == 2
    refused = change(edda, "PATCH", "/flood", {"keywords": ["sand"]}, 409, version=1)
    assert (refused["reason"], refused["current"]["version"]) == ("version", 2)
    assert (refused["current"]["keywords"], refused["yours"]) == (["flood", "dike"], {"keywords": ["sand"]})
    change(edda, "PATCH", "/flood", {"keywords": ["flood", "dike"]}, 422)
    change(edda, "PATCH", "/flood", {"owners": ["eve"]}, 422)
    assert edda.send("PATCH", f"{EVENTS}/flood", {"why": ""}, {"If-Match": "five"}).status == 400
    assert edda.get(f"{EVENTS}/flood")["version"] == 2, "a refusal changes nothing"


def _two_owners(edda: Api, ada: Api) -> None:
    """Each has the page before them; the second does not undo what the first has done."""
    version = change(edda, "POST", "", {"name": "Rift", "keywords": ["rift"]}, 201)["version"]
    first = edda.send("POST", "/events/rift/owners", f"owners=edda,vera&version={version}".encode(), media=FORM)
    assert first.status == 303
    second = ada.send("POST", "/events/rift/owners", f"owners=edda,ada&version={version}".encode(), media=FORM)
    assert second.status == 409
    page = second.body.decode()
    assert "its owners are edda, vera by now" in page
    assert 'name="owners" value="edda,ada"' in page, "what was typed stays"
    assert edda.get(f"{EVENTS}/rift")["owners"] == ["edda", "vera"]
    over = f"owners=edda&version={version + 1}".encode()
    assert f'name="version" value="{version + 1}"' in page
    assert ada.send("POST", "/events/rift/owners", over, media=FORM).status == 303


def _states(edda: Api) -> None:
    assert change(edda, "POST", "/flood/pause", {}, 409)["reason"] == "state"
    assert change(edda, "POST", "/flood/start", {"rematch_since": None}, version=2)["status"] == "active"
    for action, status in (("pause", "paused"), ("resume", "active"), ("stop", "stopped")):
        assert change(edda, "POST", f"/flood/{action}", {"why": action})["status"] == status
    since = datetime.now(UTC).replace(year=datetime.now(UTC).year - 3).isoformat()
    change(edda, "POST", "/flood/rematch", {"since": since}, 422)
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert change(edda, "POST", "/flood/rematch", {"since": hour_ago, "source": "x"}, 409)["reason"] == "state"
    change(edda, "POST", "/flood/rematch", {"since": hour_ago, "source": "mastodon"}, 422)
    assert edda.get(f"{EVENTS}/flood/rematch") == {"progress": None, "sources": []}
    clone = change(edda, "POST", "/flood/clone", {"name": "Flood II"}, 201)
    assert (clone["code"], clone["status"], clone["keywords"]) == ("flood-ii", "draft", ["flood", "dike"])
    assert change(edda, "POST", "/flood-ii/archive", {})["status"] == "archived"


def _owned(edda: Api, ada: Api) -> None:
    emil = api(edda.worker, "emil", "editor")
    change(emil, "PUT", "/flood/owners", {"owners": ["emil"]}, 403)
    change(emil, "DELETE", "/flood", status=403)
    assert change(edda, "PUT", "/flood/owners", {"owners": ["emil", "edda"]})["owners"] == ["emil", "edda"]
    change(emil, "PUT", "/flood/owners", {"owners": ["edda"]})
    assert ada.post("/api/v1/refresh")["partitions"] > 0


def _told(vera: Api) -> None:
    first = vera.get(f"{EVENTS}/flood/history?most=1")
    assert first["more"]
    every = vera.get(f"{EVENTS}/flood/history")
    assert not every["more"]
    assert [one["version"] for one in every["changes"]] == list(range(8, 0, -1))
    edit = every["changes"][-2]
    assert (edit["who"], edit["why"], edit["changed"]) == ("edda", "more", {"keywords": [["flood"], ["flood", "dike"]]})
    then = vera.get(f"{EVENTS}/flood/at?moment={edit['at'].replace('+00:00', 'Z')}")
    assert (then["keywords"], then["status"], then["version"]) == (["flood", "dike"], "draft", 2)
    assert vera.send("GET", f"{EVENTS}/flood/at?moment=2026-01-01T00:00:00Z").status == 404
    assert vera.send("GET", f"{EVENTS}/flood/at?moment=2026-01-01T00:00:00").status == 422


def _bring(caller: Api, text: str, query: str = "") -> Replied:
    return caller.send("POST", f"/api/v1/yaml{query}", text.encode(), media="application/yaml")


def _files(edda: Api, vera: Api) -> None:
    file = vera.send("GET", f"{EVENTS}/flood/yaml")
    assert (file.status, file.headers["Content-Type"].split(";")[0]) == (200, "application/yaml")
    assert NAME in file.body.decode()
    every = vera.send("GET", "/api/v1/yaml").body.decode()
    assert [one["fate"] for one in _bring(edda, every).json["events"]] == ["same"] * 3
    more = every + "- code: snow\n  name: Snow\n  keywords: [snow]\n"
    assert _bring(vera, more).status == 403
    planned = _bring(edda, more, "?dry=true").json
    assert (planned["done"], [one["fate"] for one in planned["events"]]) == (False, ["same"] * 3 + ["create"])
    assert vera.send("GET", f"{EVENTS}/snow").status == 404
    half = _bring(edda, more + "- code: rain\n  name: Rain\n").json
    assert (half["done"], half["events"][-1]["fate"]) == (False, "refused")
    assert vera.send("GET", f"{EVENTS}/snow").status == 404, "one fault, and nothing is done"
    assert _bring(edda, more).json["done"]
    assert vera.get(f"{EVENTS}/snow")["status"] == "draft"
    assert _bring(edda, "events: [").status == 422
    assert edda.send("POST", "/api/v1/yaml", {}).status == 415
    assert _bring(edda, "#" * 600_000).status == 413


def _gone(edda: Api, ada: Api) -> None:
    change(edda, "DELETE", "/flood-ii", status=204)
    assert edda.get(f"{EVENTS}/flood-ii")["status"] == "deleted"
    change(edda, "POST", "/flood/purge", {"confirm": "floo"}, 422)
    purged = edda.send("POST", f"{EVENTS}/flood/purge", {"confirm": "flood"})
    assert purged.status in (202, 204), purged
    until(lambda: ada.send("GET", f"{EVENTS}/flood").status == 404, "the event is gone")


@scenarios.add
def what_was_told_to_have_failed_is_not_carried_out_later(stack: Stack) -> None:
    """The manager that decides is frozen: 503 from the other; once it is thawed nothing of it happens."""
    codes = [f"event-{number}" for number in range(8)]
    with (
        place(stack, token_secret=SECRET, command_timeout=4) as settings,
        worker(settings, "manager") as asked,
        worker(settings, "manager") as frozen,
    ):
        asked.wait_ready()
        frozen.wait_ready()
        ada = api(asked, "ada", "admin")
        until(lambda: _shares(ada) == [2, 2], "each owns half of the partitions")
        until(lambda: all(_made(ada, code) for code in codes), "both decide", 120)
        frozen.freeze()
        with ThreadPoolExecutor(len(codes)) as pool:
            statuses = list(pool.map(lambda code: _edit(ada, code, "dike").status, codes))
        frozen.thaw()
        assert set(statuses) == {200, 503}
        for code, status in zip(codes, statuses, strict=True):
            again = until(lambda code=code: _edited(ada, code), f"{code} is decided on", 120)  # type: ignore[misc]
            assert again["version"] == (3 if status == 200 else 2), "what failed was not carried out"
            history = ada.get(f"{EVENTS}/{code}/history")["changes"]
            assert ("dike" in str(history)) == (status == 200)


def _shares(ada: Api) -> list[int]:
    """How many partitions of commands each manager tells to own."""
    found = ada.get("/api/v1/system")["processes"]
    return [len(one.get("partitions", {}).get("event_commands", [])) for one in found]


def _made(ada: Api, code: str) -> bool:
    new = {"name": code, "code": code, "keywords": ["flood"]}
    return ada.send("POST", EVENTS, new).status in (201, 409)


def _edit(ada: Api, code: str, keyword: str) -> Replied:
    return ada.send("PATCH", f"{EVENTS}/{code}", {"keywords": [keyword]})


def _edited(ada: Api, code: str) -> Any:
    found = _edit(ada, code, "sand")
    return found.json if found.status == 200 else None


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
