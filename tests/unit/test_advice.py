"""What is said of keywords while they are typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import advice
from app.domain.advice import MOST, MOST_PAIRS, advise
from app.domain.events import Definition, Event
from app.domain.keywords import Keyword, parse_keyword
from app.domain.matcher import Matcher
from tests.support.matching import bare, found


def said(*typed: str, others: tuple[Event, ...] = ()) -> list[tuple[str, str]]:
    return [(one.keyword, one.about) for one in advise(typed, others)]


@pytest.mark.parametrize(
    ("typed", "about"),
    [
        (("flood", "  "), [("", "blank")]),
        (('"flood',), [('"flood', "wrong")]),
        (("flood, dike",), [("flood, dike", "wrong")]),
        (("Flood", "fLOOD"), [("fLOOD", "twice")]),
        (("dike breach", "breach  dike"), [("breach  dike", "twice")]),
        (("the",), [("the", "broad")]),
        (("de la",), [("de la", "broad")]),
        (("2024",), [("2024", "broad")]),
        (("水",), [("水", "broad")]),
        (("洪水",), []),
        (("the flood",), []),
        (("#a",), []),
        (("flood", "flash flood"), [("flash flood", "covered")]),
        (("flood", "#flood", "@flood"), [("#flood", "covered"), ("@flood", "covered")]),
        (("#flood", "flood"), [("#flood", "covered")]),
        (("flash flood", '"flash flood"'), [('"flash flood"', "covered")]),
        (('"flash flood"', '"a flash flood warning"'), [('"a flash flood warning"', "covered")]),
        (('"flood flash"', '"flash flood"'), []),
        (("cats OR dogs",), [("cats OR dogs", "operator")]),
        (('"cats or dogs"',), []),
        (("rain -snow",), [("rain -snow", "operator")]),
        (("سيل", "#سيل"), [("#سيل", "covered")]),
        (("<script>",), []),
    ],
)
def test_what_is_said(typed: tuple[str, ...], about: list[tuple[str, str]]) -> None:
    assert said(*typed) == about


def test_other_events_that_look_for_the_same() -> None:
    others = (
        Event(code="a", name="a", status="active", keywords=("Flood", "wind")),
        Event(code="b", name="b", status="stopped", keywords=("flood",)),
        Event(code="c", name="c", status="draft", keywords=("dike",)),
    )
    same, wider = advise(["flood", "dike breach", "sand"], others)
    assert (same.about, same.keyword, same.events) == ("overlap", "flood", ("a",))
    assert (wider.about, wider.keyword, wider.events) == ("overlap", "dike breach", ("c",))
    assert "a looks for too" in same.says


def test_faults_come_first_and_no_more_than_are_read() -> None:
    found = advise(["the", " "])
    assert [one.fault for one in found] == [True, False]
    assert len(advise([" "] * 500)) == MOST


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[Keyword]:
    """Each keyword that was compared with another, once for each."""
    seen: list[Keyword] = []
    covers = advice.covers

    def counted(wide: Keyword, narrow: Keyword) -> bool:
        seen.append(wide)
        return covers(wide, narrow)

    monkeypatch.setattr(advice, "covers", counted)
    return seen


def test_a_thousand_keywords_that_share_a_word_are_not_each_compared_with_each(compared: list[Keyword]) -> None:
    typed = [f"flood town{number}" for number in range(1000)]
    others = [Event(code=f"e{n}", name="e", status="active", keywords=tuple(typed[:50])) for n in range(100)]
    found = advise([*typed, "town7 flood warning"], others)
    assert [one.keyword for one in found if one.about == "covered"] == ["town7 flood warning"]
    assert {one.about for one in found} == {"covered", "overlap"}
    assert len(compared) <= 200


def test_where_too_many_are_near_each_other_it_is_said_that_not_all_were_compared(compared: list[Keyword]) -> None:
    words = [f"word{number}" for number in range(45)]
    typed = [f"{one} {other}" for one in words for other in words if one < other]
    found = advise([*typed, " "])
    assert [(one.keyword, one.about) for one in found] == [("", "blank"), ("", "cut")]
    assert len(compared) <= MOST_PAIRS


_words = st.sampled_from(["flood", "#flood", "flash", '"flash flood"', "@flood", "洪水", "a"])


@given(st.lists(st.lists(_words, min_size=1, max_size=3).map(" ".join), max_size=5))
def test_what_is_no_fault_an_event_takes_and_what_is_one_it_does_not(typed: list[str]) -> None:
    faults = [one for one in advise(typed) if one.fault]
    if faults:
        with pytest.raises(ValueError):
            Definition(keywords=tuple(typed)).checked()
    else:
        Definition(keywords=tuple(typed)).checked()


@given(
    st.lists(st.lists(_words, min_size=1, max_size=3).map(" ".join), min_size=2, max_size=4),
    st.lists(st.sampled_from(["flood", "#flood", "flash", "flash flood", "@flood", "洪水警報", "a"]), max_size=4),
)
def test_what_is_said_to_be_covered_finds_nothing_alone(typed: list[str], text: list[str]) -> None:
    post = bare(" ".join(text))
    for one in advise(typed):
        if one.about == "covered" and found(one.keyword, post):
            others = {parse_keyword(other).terms: other for other in typed}
            del others[parse_keyword(one.keyword).terms]
            event = Event(code="x", name="x", status="active", keywords=tuple(others.values()))
            assert Matcher([event]).match(post)
