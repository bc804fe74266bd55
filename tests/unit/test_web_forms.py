"""What is typed on a page about an event, and what differs between two versions of one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from app.domain.differences import between, differences
from app.domain.events import Event
from app.web.forms import EventForm, form_of, moment, past

_words = st.lists(st.sampled_from(["flood", "#flood", '"flash flood"', "سيل", "洪水"]), unique=True).map(tuple)
_times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)) | st.none()
_boxes = st.lists(st.tuples(*[st.floats(-80, 80)] * 4), max_size=2).map(tuple)


@given(_words, _times, _boxes, st.sampled_from([(), ("en",), ("en", "pt-br")]))
def test_a_form_that_is_sent_as_it_was_shown_changes_nothing(
    keywords: tuple[str, ...],
    end: datetime | None,
    boxes: tuple[tuple[float, float, float, float], ...],
    languages: tuple[str, ...],
) -> None:
    event = Event(code="x", name="X", keywords=keywords, end=end, boxes=boxes, languages=languages)
    edited = form_of(event).edited()
    for field in ("name", "keywords", "accounts", "boxes", "languages", "start", "end"):
        assert getattr(edited, field) == getattr(event, field)


def test_blank_lines_are_no_keywords() -> None:
    assert EventForm(name="x", keywords="\n flood \r\n\n sand").new().keywords == ("flood", "sand")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"boxes": "1,2,3"}, "is not four numbers"),
        ({"start": "tomorrow"}, "Start: 'tomorrow' is no time"),
        ({"end": "0001-01-01T00:00+14:00"}, "End: "),
        ({"rate": "much"}, "is no number of posts a second"),
        ({"rate": "nan"}, "is no number of posts a second"),
        ({"boxes": "nan,nan,nan,nan"}, "is not four numbers"),
        ({"past": "9"}, "is no number of hours"),
    ],
)
def test_what_is_no_event_is_told(fields: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EventForm(name="x", **fields).new()  # type: ignore[arg-type]


def test_a_time_is_utc_unless_it_says_otherwise() -> None:
    assert moment("2026-05-01T18:00", "x") == datetime(2026, 5, 1, 18, tzinfo=UTC)
    assert moment("2026-05-01T18:00+02:00", "x") == datetime(2026, 5, 1, 16, tzinfo=UTC)
    assert moment(" ", "x") is None


def test_how_much_of_the_past_is_heard() -> None:
    assert past("") is UNSET
    assert past("none") is None
    since = past("6")
    assert isinstance(since, datetime)
    assert timedelta(hours=5) < datetime.now(UTC) - since < timedelta(hours=7)


def test_what_a_change_changed() -> None:
    first, second, third = differences(
        {
            "keywords": (["a", "b"], ["b", "c"]),
            "status": ("draft", "active"),
            "boxes": ([], [[1.0, 2.5, 3.0, 4.0]]),
        }
    )
    assert (first.listed, first.added, first.removed) == (True, ("c",), ("a",))
    assert (second.listed, second.was, second.now) == (False, "draft", "active")
    assert third.added == ("1, 2.5, 3, 4",)


def test_what_two_people_wrote_differs_only_where_it_does() -> None:
    theirs = {"name": "X", "keywords": ["a", "b"], "version": 3, "end": None}
    (found,) = between({"name": "X", "keywords": ["a", "c"], "end": None}, theirs)
    assert (found.field, found.added, found.removed) == ("keywords", ("c",), ("b",))


@pytest.mark.parametrize("hot", [True, False])
def test_whether_an_event_is_hot_is_a_box_to_tick(hot: bool) -> None:
    form = EventForm(name="Flood", keywords="flood", hot=hot)
    assert form.new().hot is hot
    assert form.edited().hot is hot
    assert form_of(Event(code="flood", name="Flood", hot=hot)).hot is hot
