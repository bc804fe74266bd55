"""Records that came shortly after an edit belong to any of the versions that the source was asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from msgspec.structs import replace

from app.domain import lately
from app.domain.decisions import Command, decide
from app.domain.events import Definition, Event
from app.domain.heard import to_ms
from app.domain.lately import Lately, as_heard, moments, read, taking, widened


def edited(*definitions: Definition) -> Event:
    minutes = count()

    def command(action: Any, definition: Definition) -> Command:
        at = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(minutes=next(minutes))
        return Command(id=str(definition), action=action, code="flood", at=at, who="a test", definition=definition)

    event = decide(command("create", Definition(name="flood", keywords=("one", "two"))), None)
    for definition in definitions:
        event = decide(command("edit", definition), event)
    return event


def test_an_edit_is_lately_until_the_source_has_answered_and_some_time_after() -> None:
    followed = Lately()
    followed.begin({"flood": 1}, {"flood": 2})
    assert followed.text == "flood:1,2"
    followed.tick(10_000.0)
    assert followed.text == "flood:1,2", "the source has not answered yet"
    followed.end(10_000.0)
    followed.tick(10_000.0 + lately.SECONDS - 1)
    assert followed.text == "flood:1,2"
    followed.tick(10_000.0 + lately.SECONDS)
    assert followed.text == ""


def test_a_new_event_and_several_edits() -> None:
    followed = Lately()
    followed.begin({}, {"storm": 1, "flood": 1})
    followed.begin({"storm": 1, "flood": 1}, {"storm": 1, "flood": 3})
    assert read(followed.text) == {"storm": (1,), "flood": (1, 3)}


def test_an_event_that_did_not_change_is_not_named() -> None:
    followed = Lately()
    followed.begin({"flood": 4}, {"flood": 4})
    assert followed.text == ""


def test_the_header_is_bounded() -> None:
    followed = Lately()
    followed.begin({}, {f"event-{number}": 1 for number in range(5000)})
    assert len(followed.text) < 4000


def test_nonsense_in_a_header_is_left_out() -> None:
    assert read("flood:1 :2 storm: x:y z:1,², a:1,2") == {"flood": (1,), "a": (1, 2)}
    assert read("") == {}


def test_an_event_is_widened_by_what_it_was() -> None:
    event = edited(Definition(keywords=("two", "three")), Definition(keywords=("three", "four")))
    assert widened(event, 3).keywords == ("three", "four")
    assert widened(event, 2).keywords == ("three", "four", "two")
    assert set(widened(event, 1).keywords) == {"one", "two", "three", "four"}
    assert widened(event, 99).keywords == event.keywords


def test_a_version_without_a_restriction_of_languages_lifts_that_of_the_other() -> None:
    event = edited(Definition(languages=("de",)), Definition(languages=("en",)))
    assert widened(event, 2).languages == ("en", "de")
    assert widened(event, 1).languages == ()


def test_boxes_and_accounts_come_back_as_they_were() -> None:
    box = (1.0, 2.0, 3.0, 4.0)
    event = edited(Definition(boxes=(box,), accounts=("mill",)), Definition(boxes=(), accounts=()))
    assert widened(event, 2).boxes == (box,)
    assert widened(event, 2).accounts == ("mill",)


def changed_at(event: Event, version: int) -> int:
    return to_ms(next(change.at for change in event.history if change.version == version))


def test_a_post_belongs_to_the_event_as_it_was_when_it_was_heard() -> None:
    event = edited(Definition(keywords=("two", "three")), Definition(keywords=("three", "four")))
    assert as_heard(event, changed_at(event, 3)).keywords == ("three", "four")
    assert set(as_heard(event, changed_at(event, 3) - 1).keywords) == {"two", "three", "four"}
    assert set(as_heard(event, changed_at(event, 2) - 1).keywords) == {"one", "two", "three", "four"}
    assert as_heard(event, changed_at(event, 1) - 1) == event, "before there was any event"


def test_an_event_that_has_ended_takes_what_was_heard_before() -> None:
    event = edited()
    stop = Command(id="s", action="stop", code="flood", at=datetime(2026, 5, 1, 2, tzinfo=UTC), who="a test")
    stopped = decide(stop, event)
    ended = to_ms(stop.at)
    assert as_heard(stopped, ended - 1).status == "active"
    assert as_heard(stopped, ended).status == "stopped"
    assert as_heard(stopped, changed_at(event, 1) - 1).status == "stopped"
    deleted = decide(Command(id="d", action="delete", code="flood", at=stop.at, who="a test"), stopped)
    assert as_heard(deleted, ended - 1).status == "deleted"


def test_changes_of_what_is_selected_are_moments_and_others_are_not() -> None:
    event = edited(Definition(keywords=("three",)), Definition(name="another name"))
    assert moments([event]) == [changed_at(event, 2)]


def test_whatever_stands_takes_what_is_imported_for_it() -> None:
    event = edited()
    for status in ("draft", "scheduled", "active", "paused", "stopped"):
        assert taking(replace(event, status=status)).status == "active"
    for status in ("archived", "deleted", "purging"):
        assert taking(replace(event, status=status)).status == status
