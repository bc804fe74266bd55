"""An archive is imported for one event: for no other, for none of its code that came later, and told if it is late."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from app.domain.classify import classify
from app.domain.decisions import decide
from app.domain.events import Event
from app.domain.letters import headers, letter
from app.domain.matcher import Matcher
from app.domain.records import RawRecord, raw_headers, raw_record
from app.settings import Settings
from cli import importing
from cli.direct import Direct
from tables.known_events import KnownEvents
from tests.support import events
from tests.support.commands import run_here

AT = 1_714_560_100_000


def event(*, born: int = 1, **more: Any) -> Event:
    made = decide(events.create("flood", keywords=("flood",)), None)
    history = tuple(replace(change, version=born) for change in made.history)
    return replace(made, **{"version": born, "history": history, **more})


async def matcher_of(record: RawRecord, *known: Event) -> Matcher:
    """The matcher of a record where these events are known."""
    view = KnownEvents(Settings())
    view.view.items = {one.code: one for one in known}
    return (await view.matcher_for([record]))(record)


def imported(version: int) -> RawRecord:
    told = [*raw_headers("import", "jsonl", AT, "import", event="flood"), ("lately", f"flood:{version}".encode())]
    return raw_record("raw_tweets", 0, 0, b"{", dict(told), AT)


async def test_it_belongs_to_a_stopped_event_alone_and_so_does_its_dead_letter() -> None:
    stopped, beside = event(status="stopped"), replace(event(), code="beside")
    record = imported(1)
    assert (await matcher_of(record, stopped, beside)).codes == {"flood"}
    (buried,) = classify([record], Matcher([]), 1).dead
    read = letter(buried.id.encode(), 1, dict(buried.headers()), 0, 0, AT + 5)
    once_more = raw_record("raw_tweets", 0, 9, b"{", dict(headers(read)), AT + 9)
    assert (once_more.origin, once_more.event, once_more.again) == ("import", "flood", True)
    assert (await matcher_of(once_more, stopped, beside)).codes == {"flood"}


async def test_it_is_not_for_an_event_that_got_its_code_later() -> None:
    assert (await matcher_of(imported(3), event(born=3))).codes == {"flood"}
    assert (await matcher_of(imported(3), event(born=4))).codes == set()


@pytest.mark.parametrize(
    ("after", "error"),
    [
        (event(status="stopped"), ""),
        (event(status="archived"), "flood: became archived meanwhile: what came after that is not in it"),
        (event(born=9), "flood: became purged meanwhile: what came after that is not in it"),
    ],
)
def test_an_event_that_takes_no_more_meanwhile_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], after: Event, error: str
) -> None:
    as_it_stands = iter([event(), after])

    async def found(_: Direct, __: str) -> Event:
        return next(as_it_stands)

    monkeypatch.setattr(Direct, "event", found)
    monkeypatch.setattr(importing, "send", lambda *_, **__: None)
    ran = run_here(monkeypatch, capsys, "import", "posts.jsonl", "--event", "flood")
    assert (ran.status, error) == (1, ran.error) if error else ran.status == 0
