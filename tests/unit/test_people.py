"""Changes of people: each is made of what the one before has made, whoever writes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from msgspec.structs import replace

from app.clients import people
from app.clients.people import carry_through
from app.domain.people import Person, changed, follows, newcomer, ranked, removed, revoked
from app.errors import NotDone

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ADA = newcomer("ada", "editor", "a test", NOW)


class Topic:
    """The records of a person, and who they are for all who read them; before a write somebody may be faster."""

    def __init__(self, *faster: Callable[[Person], Person]) -> None:
        self.records = [ADA]
        self.standing = ADA
        self._faster = list(faster)

    async def read(self) -> Person:
        return self.standing

    async def write(self, person: Person) -> None:
        if self._faster:
            self._append(changed(self.standing, self._faster.pop(0)(self.standing), f"faster{len(self._faster)}"))
        self._append(person)

    def _append(self, person: Person) -> None:
        self.records.append(person)
        if follows(person, self.standing):
            self.standing = person


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people.random, "uniform", lambda *_: 0)


def demoted(person: Person | None) -> Person:
    assert person is not None
    if person.here == "removed":
        raise LookupError("there is nobody called ada")
    return replace(person, rank="viewer")


async def test_who_was_slower_changes_what_the_faster_one_has_made() -> None:
    topic = Topic(lambda person: revoked(person, NOW), lambda person: revoked(person, NOW))
    person, anything = await carry_through(demoted, topic.read, topic.write)
    assert anything
    assert topic.standing == person == topic.records[-1]
    assert (person.rank, person.epoch) == ("viewer", ADA.epoch + 2)


async def test_a_change_that_changes_nothing_is_not_written() -> None:
    topic = Topic()
    assert await carry_through(lambda person: person or ADA, topic.read, topic.write) == (ADA, False)
    assert topic.records == [ADA]


@pytest.mark.parametrize("faster", [lambda person: replace(person, rank="viewer"), lambda person: removed(person, NOW)])
async def test_the_last_record_is_what_stands_also_where_a_slower_change_comes_to_nothing(
    faster: Callable[[Person], Person],
) -> None:
    """Compaction keeps the last one."""
    topic = Topic(faster)
    try:
        await carry_through(demoted, topic.read, topic.write)
    except LookupError:
        assert topic.standing.here == "removed"
    assert topic.standing == topic.records[-1]
    assert topic.standing.rank == faster(ADA).rank


async def test_who_is_slower_each_time_gives_up() -> None:
    topic = Topic(*[lambda person: revoked(person, NOW)] * 20)
    with pytest.raises(NotDone, match="all the time"):
        await carry_through(demoted, topic.read, topic.write)
    assert topic.standing.rank == "editor"


def test_what_says_nothing_of_what_it_was_made_of_stands() -> None:
    assert follows(replace(ADA, rank="viewer"), changed(ADA, ADA, "one"))


def read(*records: Person) -> Person:
    """Who stands for one who reads these."""
    return reduce(lambda standing, later: later if follows(later, standing) else standing, records)


def test_who_begins_to_read_with_a_change_that_was_passed_over_hears_of_those_after_it() -> None:
    """Its writer died before it was made anew, and compaction has kept it."""
    first = changed(None, ADA, "first")
    faster = changed(first, removed(first, NOW), "faster")
    loser = changed(first, replace(first, rank="admin"), "loser")
    third = changed(faster, ranked(faster, "ada", "viewer", "a test", NOW), "third")
    assert read(first, faster, loser) == read(first, faster) == faster
    assert read(first, faster, loser, third) == read(loser, third) == read(third) == third


def test_of_two_who_add_a_person_at_once_the_first_stands() -> None:
    one, other = changed(None, ADA, "one"), changed(None, replace(ADA, rank="admin"), "other")
    assert read(one, other) == one
    third = changed(one, replace(one, rank="viewer"), "third")
    assert read(one, third, other) == third


def test_a_name_that_is_given_anew_is_another_person() -> None:
    gone = removed(ADA, NOW)
    later = NOW + timedelta(days=1)
    for now in (NOW, later):
        again = ranked(gone, "ada", "viewer", "another test", now)
        assert (again.added, again.by, again.here) == (now, "another test", "")
        assert again.epoch >= gone.epoch > ADA.epoch
