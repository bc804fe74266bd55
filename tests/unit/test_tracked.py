"""How an event stood at a moment, by its history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.domain.decisions import Command, decide
from app.domain.events import Definition, Event
from app.domain.tracked import tracked_at

BORN = datetime(2026, 9, 3, 12, tzinfo=UTC)
FIELDS = ("name", "status", "keywords", "accounts", "boxes", "languages", "start", "end", "version")


def command(action: Any, hours: float, **rest: Any) -> Command:
    return Command(id=f"{hours}", action=action, code="flood", at=BORN + timedelta(hours=hours), who="ada", **rest)


def life(edits: list[Definition]) -> list[Event]:
    """An event at each of its versions, an hour apart: created, paused, edited …"""
    versions = [decide(command("create", 0, definition=Definition(name="Flood", keywords=("flood",))), None)]
    versions.append(decide(command("pause", 1), versions[-1]))
    for number, definition in enumerate(edits):
        versions.append(decide(command("edit", 2 + number, definition=definition), versions[-1]))
    return versions


def test_before_it_was_created_it_looked_for_nothing() -> None:
    (*_, event) = life([])
    assert tracked_at(event, BORN - timedelta(seconds=1)) is None
    first = tracked_at(event, BORN)
    assert first is not None
    assert (first.collecting, first.since, first.until) == (True, BORN, BORN + timedelta(hours=1))


_keywords = st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True).map(tuple)
_moments = st.datetimes(datetime(2027, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))


@given(
    st.lists(
        st.one_of(
            _keywords.map(lambda words: Definition(keywords=words)),
            _moments.map(lambda at: Definition(end=at)),
            st.just(Definition(boxes=((1.0, 2.0, 3.0, 4.0),))),
        ),
        max_size=6,
    )
)
def test_every_version_is_found_again_at_its_time(edits: list[Definition]) -> None:
    versions = [life([])[0], life([])[1]]
    for edit in edits:
        changed = any(getattr(versions[-1], name) != value for name, value in edit.given().items())
        if changed:
            versions.append(decide(command("edit", len(versions), definition=edit), versions[-1]))
    # As it comes from Kafka: a time in its history is text.
    last = msgspec.json.decode(msgspec.json.encode(versions[-1]), type=Event)
    for version in versions:
        then = tracked_at(last, version.history[-1].at + timedelta(minutes=30))
        assert then is not None
        assert then.whole
        assert {name: getattr(then, name) for name in FIELDS} == {name: getattr(version, name) for name in FIELDS}


def test_a_history_that_was_cut_says_so() -> None:
    (*_, event) = life([Definition(keywords=("dike",))])
    cut = msgspec.structs.replace(event.history[-1], changed={})
    event = msgspec.structs.replace(event, history=(*event.history[:-1], cut))
    then = tracked_at(event, BORN)
    assert then is not None
    assert not then.whole
