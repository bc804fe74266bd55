"""Events as YAML, and what becomes of those of a file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clients.event_commands import new_command
from app.domain.events import Definition, Event
from app.domain.importing import steps
from app.domain.people import Caller
from app.domain.yamls import read, write

_names = (
    st.text(min_size=1, max_size=20).map(lambda text: "".join(c for c in text if c.isprintable())).filter(str.strip)
)


@given(
    _names,
    st.lists(st.sampled_from(["no", "on", "#a", "2024", "2024-01-01", "سيل", "洪水", "a: b", "- x", "~", "<script>"])),
    st.datetimes(datetime(2000, 1, 1), timezones=st.just(UTC)) | st.none(),
    st.lists(st.just((1.0, -2.5, 3.0, 4.0)), max_size=1),
    st.booleans(),
)
def test_what_is_written_is_read_again(
    name: str, keywords: list[str], end: datetime | None, boxes: list[tuple[float, float, float, float]], hot: bool
) -> None:
    event = Event(code="x", name=name, keywords=tuple(keywords), boxes=tuple(boxes), end=end, hot=hot, owners=("ada",))
    (found,) = read(write([event]))
    # What is empty is left out.
    values = {field: getattr(event, field) for field in Definition.__struct_fields__}
    given = {field: value for field, value in values.items() if value not in ((), None, False)}
    assert found.hot is (True if hot else msgspec.UNSET)
    assert {field: getattr(found, field) for field in given} == given


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("events: [", "this is no YAML: line"),
        ("a: &x [1]\nevents: *x", "line 2: aliases are not taken"),
        ("events: [{code: x, code: y}]", "'code' is there twice"),
        ("events: [{code: x, keywords: [no]}]", "put it in quotes"),
        ("events: [{code: X}]", "code 'X'"),
        ("events: [{code: x}, {code: x}]", "event 'x' is there twice"),
        ("events: [{code: x, satus: active}]", "unknown field `satus`"),
        ("events: " + "[" * 100, "nested too deep"),
        ("!!python/object/apply:os.system [x]", "could not determine a constructor"),
        ("\x00", "this is no YAML"),
        ('events: [{code: x, start: !!int ""}]', "not what it looks like"),
        ("events: [{code: x, start: !!bool x}]", "not what it looks like"),
        ("events: [{code: x, start: !!timestamp x}]", "not what it looks like"),
        ("events: [{code: x, start: 2026-13-01}]", "not what it looks like"),
        ("", "begins with `events:`"),
        ("- flood", "begins with `events:`"),
        (b"\xff\xfe\0", "this is no text in UTF-8"),
        ("[" + "]" * 5, "this is no YAML"),
        ("events: [{? [a] : b}]", "a key that is no text"),
        ("events:\n" + "".join(f"- code: e{n}\n" for n in range(1001)), "1001 events"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_line(text: bytes | str, said: str) -> None:
    with pytest.raises(ValueError) as wrong:
        read(text)
    assert said in str(wrong.value)
    assert "\n" not in str(wrong.value)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text)
    except ValueError as wrong:
        assert str(wrong)


def planned(text: str, caller: Caller, known: dict[str, Event], **rest: Any) -> list[tuple[str, str]]:
    found = steps(read(text), known, caller, new_command("edit", "", caller.name), begin=rest.get("begin", False))
    return [(one.fate, one.why) for one in found]


ADA = Caller(name="ada", rank="admin", by="token")
EDDA = Caller(name="edda", rank="editor", by="token")
VERA = Caller(name="vera", rank="viewer", by="token")
FLOOD = Event(code="flood", name="Flood", keywords=("flood",), status="active", owners=("ada",), version=3)


@pytest.mark.parametrize(
    ("caller", "entry", "fate", "why"),
    [
        (EDDA, "{code: new, name: New, keywords: [x]}", "create", ""),
        (EDDA, "{code: new, keywords: [x]}", "refused", "an event needs a name"),
        (EDDA, "{code: new, name: New}", "refused", "at least one keyword"),
        (VERA, "{code: new, name: New, keywords: [x]}", "refused", "vera may not"),
        (EDDA, "{code: flood, keywords: [flood]}", "same", ""),
        (EDDA, "{code: flood, keywords: [dike]}", "edit", ""),
        (VERA, "{code: flood, keywords: [dike]}", "refused", "vera may not"),
        (EDDA, "{code: flood, owners: [edda]}", "refused", "edda may not"),
        (ADA, "{code: flood, owners: [edda]}", "edit", ""),
        (ADA, "{code: flood, keywords: []}", "refused", "at least one keyword"),
    ],
)
def test_what_becomes_of_an_event_of_a_file(caller: Caller, entry: str, fate: str, why: str) -> None:
    ((found, said),) = planned(f"events: [{entry}]", caller, {"flood": FLOOD})
    assert found == fate
    assert why in said


def test_new_events_are_drafts_unless_they_are_to_begin() -> None:
    text = "events: [{code: new, name: New, keywords: [x]}]"
    for begin in (False, True):
        (step,) = steps(read(text), {}, EDDA, new_command("edit", "", "edda"), begin=begin)
        assert step.command is not None
        assert step.command.draft is not begin
