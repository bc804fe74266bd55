"""Definitions of events: what each field may be, and the form in which it is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.events import MAX_NAME, Change, Definition, Event, check_selects


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("name", " 2012\tHurricane  Sandy ", "2012 Hurricane Sandy"),
        ("name", 'A "name": ok', 'A "name": ok'),
        ("keywords", (" Flood ", "flash  flood"), ("Flood", "flash flood")),
        ("accounts", ("@Ann", "ann ", "42", "did:plc:ab-c"), ("ann", "42", "did:plc:ab-c")),
        ("boxes", ((1, 2, 3, 4), (1.0, 2.0, 3.0, 4.0), (170, -5, -170, 5)), ((1, 2, 3, 4), (170, -5, -170, 5))),
        ("languages", ("DE ", "de", "pt-BR", "und", "zh-hant-tw"), ("de", "pt-br", "und", "zh-hant-tw")),
        ("start", datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)),
        ("end", None, None),
    ],
)
def test_a_field_is_kept_in_its_canonical_form(field: str, given: Any, kept: Any) -> None:
    checked = Definition(**{field: given}).checked()
    assert checked.given() == {field: kept}
    assert checked.checked() == checked


@pytest.mark.parametrize(
    ("field", "given", "why"),
    [
        ("name", "", "blank"),
        ("name", "x" * (MAX_NAME + 1), "at most 200"),
        *(("name", unseen * 3, "can be seen") for unseen in "\ufeff\u2800\u200e\u115f\u3164\ufe0f"),
        ("keywords", ("flood", " "), "blank keyword"),
        ("keywords", ("flood", "FLOOD"), "'FLOOD' is the same as 'flood'"),
        ("keywords", ("a b", '"b" A'), "the same as"),
        ("accounts", ("",), "neither a screen name nor an id"),
        ("accounts", ("@",), "neither"),
        ("accounts", ("two words",), "neither"),
        ("boxes", ((3, 2, 1, 4), (1, 4, 3, 2)), "west,south,east,north"),
        ("boxes", ((1, 2, 1, 4),), "west,south,east,north"),
        ("boxes", ((-181, 2, 1, 4),), "west,south,east,north"),
        ("boxes", ((float("nan"), 2, 1, 4),), "west,south,east,north"),
        ("languages", ("german",), "not a code"),
        ("languages", ("",), "not a code"),
        ("start", datetime(2024, 5, 1), "no time zone"),
        ("end", datetime(2024, 5, 1), "no time zone"),
    ],
)
def test_a_wrong_field_is_refused_and_why(field: str, given: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Definition(**{field: given}).checked()


def test_a_field_that_is_not_given_is_not_there() -> None:
    assert Definition().given() == {}


@pytest.mark.parametrize("selector", [{"keywords": ("a",)}, {"accounts": ("a",)}, {"boxes": ((1.0, 2.0, 3.0, 4.0),)}])
def test_one_selector_is_enough(selector: dict[str, Any]) -> None:
    check_selects(Event(code="e", name="e", **selector))


@pytest.mark.parametrize(
    "status", ["draft", "scheduled", "active", "paused", "stopped", "archived", "deleted", "purging"]
)
def test_only_an_active_event_collects(status: Any) -> None:
    assert Event(code="e", name="e", status=status).collecting is (status == "active")


def test_the_thesis_column_of_keywords() -> None:
    assert Event(code="e", name="e", keywords=("flood", '"flash flood"')).keyword_text == 'flood, "flash flood"'


def test_an_event_is_born_by_the_command_that_created_it() -> None:
    """Rows classified before that belong to a purged event. One that no command has created has no such time."""
    at = datetime(2026, 5, 1, tzinfo=UTC)
    created = Change(version=4, at=at, who="ann", action="create")
    edited = Change(version=5, at=at, who="ann", action="edit")
    assert Event(code="e", name="E", version=5, history=(created, edited)).born == 4
    assert Event(code="e", name="E", version=5, history=(edited,)).born == 0
    assert Event(code="e", name="E").born == 0
