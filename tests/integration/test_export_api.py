"""Exports by the API and the page: who may ask for what, and that what is fetched is what was written."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import tarfile
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from app.clients import tokens
from app.clients.audit import read_newest
from app.local.stack import Stack
from tests import builders
from tests.support import events, exporting
from tests.support.api import FORM, SECRET, Api, Replied, api, person
from tests.support.chain import Chain, chain
from tests.support.place import place
from tests.support.together import Running, Together
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import Worker, worker

scenarios = Together(at_once=2)

NAME = "سيل <script>alert(1)</script>"
PATH = "/api/v1/events/flood/exports"


def flood(running: Chain) -> None:
    """An event with posts."""
    events.accepted(running.settings, events.create("flood", keywords=("flood",), name=NAME))
    posts = [builders.status(f"flood {n}", id=builders.snowflake(sequence=n)) for n in range(40)]
    running.send(*[Raw(builders.line(post), number % 4) for number, post in enumerate(posts)])
    running.settle()


def ended(caller: Api, export: dict[str, Any]) -> dict[str, Any]:
    """An export once nothing more is done with it."""

    def over() -> Any:
        found = caller.get(f"{PATH}/{export['id']}")
        return found["state"] not in ("waiting", "running") and found

    found: dict[str, Any] = until(over, "the export is over", 120, pause=0.3)
    return found


@scenarios.add
def what_was_asked_for_is_fetched(stack: Stack) -> None:
    with tempfile.TemporaryDirectory() as name, chain(stack, "all", token_secret=SECRET, export_dir=name) as running:
        flood(running)
        vera = api(running.workers["all"], "vera", "viewer")
        begun = vera.post(PATH, {"format": "csv", "bom": True}, status=202)
        done = ended(vera, begun)
        assert (done["state"], done["rows"], done["asked_by"], done["here"]) == ("done", 40, "vera", True)
        assert [one["id"] for one in vera.get(PATH)["exports"]] == [begun["id"]]
        file = vera.send("GET", f"{PATH}/{done['id']}/file")
        assert file.status == 200
        assert hashlib.sha256(file.body).hexdigest() == done["sha256"]
        assert file.headers["Content-Disposition"] == f'attachment; filename="{done["file"]}"'
        assert file.headers["Content-Type"] == "text/csv; charset=utf-8"
        part = vera.send("GET", f"{PATH}/{done['id']}/file", headers={"Range": "bytes=10-19"})
        assert (part.status, part.body) == (206, file.body[10:20])
        manifest = vera.get(f"{PATH}/{done['id']}/manifest")
        assert manifest["file"]["sha256"] == done["sha256"]
        assert manifest["event"]["name"] == NAME
        assert manifest["export"]["asked_by"] == "vera"
        tar = vera.send("GET", f"{PATH}/{done['id']}/bundle")
        with tarfile.open(fileobj=io.BytesIO(tar.body)) as both:
            assert both.getnames() == [f"{done['file']}.manifest.json", done["file"]]
            extracted = both.extractfile(done["file"])
            assert extracted is not None
            assert extracted.read() == file.body
        by_hand = Path(name, "by-hand.csv")
        exporting.exported(running.settings, by_hand, "flood", "csv", "--bom")
        assert by_hand.read_bytes() == file.body, "the same by either way"
        _audited(running, f"{PATH}/{done['id']}", vera)
        _wrong(vera)
        _taken_back(running, vera, done)
        _page(running)
        running.check_calm()


def _audited(running: Chain, path: str, vera: Api) -> None:
    """No way to a file leaves no entry."""
    for what, part in (("file", "bytes=-99999999"), ("bundle", "bytes=1-"), ("manifest", "bytes=1-")):
        assert vera.send("GET", f"{path}/{what}", headers={"Range": part}).status in (200, 206)
    entries = asyncio.run(read_newest(running.settings, 100))
    fetched = [one for one in reversed(entries) if one.action == "exports.fetch"]
    assert [(one.by, one.detail.get("what", ""), one.detail.get("part")) for one in fetched] == [
        ("token", "exports.file", None),
        ("token", "exports.file", "bytes=10-19"),
        ("token", "exports.manifest", None),
        ("token", "exports.bundle", None),
        ("direct", "", None),
        ("token", "exports.file", "bytes=-99999999"),
        ("token", "exports.bundle", "bytes=1-"),
        ("token", "exports.manifest", "bytes=1-"),
    ]
    assert {one.target for one in fetched} == {"flood"}


def _wrong(vera: Api) -> None:
    for body, words in (
        ({"format": "xls"}, "Invalid enum value"),
        ({"format": "csv", "columns": ["x"]}, "no column"),
        ({"format": "csv", "filters": {"since": "2024-05-01T00:00:00"}}, "no time zone"),
        ({"format": "csv", "filters": {"keywords": ["flod"]}}, "never had"),
        ({"format": "csv", "more": 1}, "unknown field"),
        ({}, "format"),
    ):
        refused = vera.send("POST", PATH, body)
        assert refused.status == 422, refused
        assert words in refused.json["detail"]
    assert vera.send("POST", "/api/v1/events/none/exports", {"format": "csv"}).status == 404
    assert vera.send("GET", f"{PATH}/none").status == 404
    assert Api(vera.worker, None).send("GET", PATH).status == 401


def _taken_back(running: Chain, vera: Api, done: dict[str, Any]) -> None:
    other = api(running.workers["all"], "otto", "viewer")
    assert other.send("GET", f"{PATH}/{done['id']}/file").status == 200
    assert other.send("DELETE", f"{PATH}/{done['id']}").status == 403, "it is not his"
    assert vera.send("DELETE", f"{PATH}/{done['id']}").status == 204
    gone = vera.send("GET", f"{PATH}/{done['id']}/file")
    assert (gone.status, gone.json["detail"]) == (410, "the export was removed")
    assert vera.get(f"{PATH}/{done['id']}")["state"] == "removed"


def _page(running: Chain) -> None:
    cookie = _signed_in(running.workers["all"], "otto")
    browser = Api(running.workers["all"], None)

    def send(method: str, path: str, **fields: str) -> Replied:
        body = urlencode(fields).encode() if fields else None
        return browser.send(method, path, body, headers={"Cookie": cookie}, media=FORM)

    first = send("GET", "/events/flood/exports").body.decode()
    assert "<script>alert" not in first
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in first
    (csrf,) = set(re.findall(r'name="csrf" value="([^"]+)"', first))
    assert send("POST", "/events/flood/exports", format="ids").status == 403, "without the form's token"
    wrong = send("POST", "/events/flood/exports", format="ids", since="then", accounts="ann", csrf=csrf)
    assert wrong.status == 422
    assert "no time" in wrong.body.decode()
    assert 'value="ann"' in wrong.body.decode(), "what was typed stays"
    begun = send("POST", "/events/flood/exports", format="ids", since="", keywords="flood", bom="true", csrf=csrf)
    assert begun.status == 303
    until(
        lambda: 'data-state="done"' in send("GET", "/events/flood/exports/list").body.decode(),
        "the list says it is done",
    )
    listed = send("GET", "/events/flood/exports/list").body.decode()
    assert "<html" not in listed
    (back,) = re.findall(r'action="(/events/flood/exports/\w+/withdraw)"', listed)
    assert send("POST", back, csrf=csrf).status == 303
    assert "removed" in send("GET", "/events/flood/exports/list").body.decode()


def _signed_in(worker: Worker, name: str) -> str:
    """The cookie of somebody who is known."""
    link = tokens.issue(SECRET, "link", name, 0, 60)
    signed = Api(worker, None).send("POST", "/welcome", f"token={link}".encode(), media=FORM)
    return signed.headers["Set-Cookie"].partition(";")[0]


@scenarios.add
def a_person_has_so_many_exports_at_a_time(stack: Stack) -> None:
    limits = {"exports_in_hand": 2, "exports_a_day": 4, "export_jobs": 1}
    with tempfile.TemporaryDirectory() as name, ExitStack() as opened:
        gate = Path(name, "open")
        slow = {"all": exporting.slow_manager(gate)}
        own = {"token_secret": SECRET, "export_dir": name, **limits}
        running = opened.enter_context(chain(stack, "all", commands=slow, **own))
        flood(running)
        vera = api(running.workers["all"], "vera", "viewer")
        otto = api(running.workers["all"], "otto", "viewer")
        begun = [vera.post(PATH, {"format": "ids"}, status=202) for _ in range(2)]
        refused = vera.send("POST", PATH, {"format": "ids"})
        assert (refused.status, refused.headers["Retry-After"]) == (429, "60")
        assert "2 exports of yours" in refused.json["detail"]
        early = vera.send("GET", f"{PATH}/{begun[1]['id']}/file")
        assert (early.status, early.json["detail"]) == (409, "the export is waiting")
        otto.post(PATH, {"format": "ids"}, status=202)
        assert vera.send("DELETE", f"{PATH}/{begun[0]['id']}").status == 204
        gate.touch()
        assert ended(vera, begun[1])["state"] == "done"
        for _ in range(2):
            assert ended(vera, vera.post(PATH, {"format": "ids"}, status=202))["state"] == "done"
        refused = vera.send("POST", PATH, {"format": "ids"})
        assert refused.status == 429
        assert "24 hours" in refused.json["detail"]
        _stopped(running, otto, gate)


def _stopped(running: Chain, otto: Api, gate: Path) -> None:
    """A manager that is told to stop takes its exports' processes along, and does not wait for them."""
    gate.unlink()
    begun = otto.post(PATH, {"format": "jsonl"}, status=202)
    until(lambda: otto.get(f"{PATH}/{begun['id']}")["host"], "it is begun", pause=0.3)
    stopping = running.workers["all"]
    children = until(lambda: _children(stopping.process.pid), "its process is there")
    assert stopping.term() == 0
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), "they have ended")


def _children(parent: int) -> list[str]:
    return Path(f"/proc/{parent}/task/{parent}/children").read_text().split()


@scenarios.add
def a_manager_that_does_not_have_the_file_says_who_has(stack: Stack) -> None:
    with (
        tempfile.TemporaryDirectory() as name,
        place(stack, token_secret=SECRET, export_dir=Path(name, "one")) as settings,
    ):
        person(settings, "ada", "admin")
        other = settings.model_copy(update={"export_dir": Path(name, "two")})
        with worker(settings, "manager") as first, worker(other, "manager") as second:
            first.wait_ready()
            second.wait_ready()
            events.accepted(settings, events.create("flood", keywords=("flood",)))
            callers = [api(first), api(second)]
            begun = callers[0].post(PATH, {"format": "csv"}, status=202)
            done = ended(callers[0], begun)
            assert done["state"] == "done"
            found = [caller.send("GET", f"{PATH}/{done['id']}/file") for caller in callers]
            assert sorted(one.status for one in found) == [200, 409]
            (elsewhere,) = [one.json for one in found if one.status == 409]
            assert elsewhere["reason"] == "elsewhere"
            assert done["host"] in elsewhere["detail"]


@scenarios.add
def files_take_no_more_room_than_they_may_and_are_removed_in_time(stack: Stack) -> None:
    with tempfile.TemporaryDirectory() as name:
        own = {"token_secret": SECRET, "export_dir": name, "export_megabytes": 1, "export_days": 5 / 86_400}
        with place(stack, **own) as settings, worker(settings, "manager") as manager:
            manager.wait_ready()
            events.accepted(settings, events.create("flood", keywords=("flood",)))
            ada = api(manager)
            stray = settings.exports / "stray"
            stray.parent.mkdir(exist_ok=True)
            stray.write_bytes(bytes(1_000_001))
            failed = ended(ada, ada.post(PATH, {"format": "csv"}, status=202))
            assert failed["state"] == "failed"
            assert "STARLING_EXPORT_MEGABYTES" in failed["why"]
            stray.unlink()
            done = ada.post(PATH, {"format": "csv"}, status=202)
            until(lambda: ada.get(f"{PATH}/{done['id']}")["state"] == "expired", "its time is over")
            gone = ada.send("GET", f"{PATH}/{done['id']}/file")
            assert (gone.status, gone.json["detail"]) == (410, "the export is gone: its time is over")
            until(lambda: not (settings.exports / done["id"]).exists(), "its file is removed")


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
