"""What may be written to posts, in which form; and when an order to write is silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec import UNSET

from app.domain.annotating import MAX_CHANGED, MAX_NOTE, SILENT_SECONDS, Change, Job, Order
from app.domain.searching import search

AT = datetime(2026, 5, 1, tzinfo=UTC)


def test_a_change_has_one_form() -> None:
    change = Change(add=("B", " a  b", "b"), remove=("X",), note=" two\r\nlines ").checked()
    assert change == Change(add=("a b", "b"), remove=("x",), note="two\nlines")
    assert Change(note="").checked().note == ""
    assert Change(add=("a",)).checked().note is UNSET


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (Change(), "nothing is to be changed"),
        (Change(add=("A",), remove=("a",)), "both added and removed"),
        (Change(add=tuple(map(str, range(MAX_CHANGED + 1)))), f"at most {MAX_CHANGED}"),
        (Change(note="x" * (MAX_NOTE + 1)), "characters"),
        (Change(add=("a,b",)), "comma"),
    ],
)
def test_what_cannot_be_written_is_told(change: Change, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        change.checked()


def test_an_order_is_the_same_after_it_was_stored() -> None:
    for change in (Change(add=("a",)), Change(note=""), Change(remove=("b",), note="n")):
        order = Order(search=search("flood", tags=["x"], since=5), change=change)
        assert msgspec.json.decode(msgspec.json.encode(order), type=Order) == order


def test_an_order_whose_process_is_gone_is_silent() -> None:
    job = Job(id="1", code="e", who="ada", order=Order(search=search(), change=Change(add=("a",))), at=AT)
    late = AT + timedelta(seconds=SILENT_SECONDS + 1)
    assert not job.silent(AT)
    assert job.silent(late)
    assert not msgspec.structs.replace(job, state="done").silent(late)
