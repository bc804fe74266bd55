"""What the manager knows of an event, and how it catches up with what was told of it."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from app.domain.decisions import Answer
from app.domain.events import Change, Event
from tables.event_ledger import ANSWERS, Entry


def event(version: int, **fields: str) -> Event:
    at = datetime(2026, 5, 1, tzinfo=UTC)
    history = tuple(
        Change(version=number, at=at, who="ann", action="edit", command=f"c{number}")
        for number in range(1, version + 1)
    )
    return Event(code="flood", name=fields.get("name", "flood"), version=version, history=history)


def answer(name: str) -> Answer:
    return Answer(id=name, code="flood", accepted=True)


def test_an_entry_that_fell_back_catches_up_with_what_was_told() -> None:
    old = Entry(event(3), 3, (answer("c3"),))
    newer = old.caught_up(event(61))
    assert (newer.event, newer.version, newer.answers) == (event(61), 61, old.answers)
    for told in (None, event(2), event(3, name="another")):
        assert old.caught_up(told) is old, "the table is the truth, unless it has fallen behind"


def test_a_command_finds_the_change_that_it_made() -> None:
    """Its writer died between telling the event and noting its answer."""
    entry = Entry().caught_up(event(5))
    assert entry.answer_to("c4") is None
    change = entry.change_by("c4")
    assert change is not None
    assert change.version == 4
    assert entry.change_by("c6") is None
    assert Entry(version=9).change_by("c4") is None


def test_who_asked_for_a_purge_waits_for_its_end_whatever_else_is_answered() -> None:
    entry = Entry(event(1), 1).being_purged(event(2), "first").being_purged(event(3), "second")
    refused = entry.after(entry.event, answer("an edit"))
    assert refused.purging == ("first", "second")
    done = refused.purged([answer(name) for name in refused.purging])
    assert (done.event, done.version, done.purging) == (None, 3, ())
    assert [known.id for known in done.answers] == ["an edit", "first", "second"]


def test_only_the_last_answers_are_kept() -> None:
    entry = Entry()
    for number in range(ANSWERS + 5):
        entry = replace(entry.after(None, answer(str(number))))
    assert len(entry.answers) == ANSWERS
    assert entry.answer_to("4") is None
    assert entry.answer_to("5") is not None
