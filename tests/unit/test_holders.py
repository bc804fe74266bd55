from __future__ import annotations

import pytest

from app.domain.coverage import Interval, Outage
from app.domain.holders import OVERLAP_MS, Holders

T0 = 1_700_000_000_000


def interval(generation: int, at: int, source: str = "x") -> Interval:
    return Interval(source=source, connection="c", opened=at, since=at - 5_000, until=at, generation=generation)


def outage(generation: int, at: int) -> Outage:
    return Outage(source="x", since=at, until=at, why="away", generation=generation)


def known(*entries: Interval | Outage) -> Holders:
    made = Holders()
    for one in entries:
        made.note(one)
    return made


def test_with_one_holder_nothing_is_in_question() -> None:
    alone = known(interval(3, T0), outage(3, T0 + 9_000), interval(3, T0 + 10_000))
    assert not alone.in_question("x", 3, T0 + 1)
    assert not alone.in_question("x", 3, T0 + 20_000)
    assert not alone.in_question("bluesky", 3, T0), "nothing is known of that source"
    assert not known().in_question("x", 3, T0)


def test_what_no_tracker_has_sent_is_not_in_question() -> None:
    assert not known(interval(3, T0), interval(4, T0 + 1)).in_question("x", 0, T0)


@pytest.mark.parametrize("entries", [(interval(3, T0), interval(4, T0 + 30_000))] * 2, ids=["in order", "reversed"])
def test_what_the_holder_before_sends_late_is_in_question(
    entries: tuple[Interval, Interval], request: pytest.FixtureRequest
) -> None:
    holders = known(*(reversed(entries) if "reversed" in request.node.name else entries))
    assert holders.in_question("x", 3, T0 + 10_000)
    assert holders.in_question("x", 4, T0 + 31_000), "the holder before may have sent it meanwhile"
    assert not holders.in_question("x", 4, T0 + 30_000 + OVERLAP_MS)
    assert holders.in_question("x", 3, T0 + 10_000), "however late"


def test_a_new_holder_is_known_by_its_posts_before_the_ledger_tells() -> None:
    holders = known(interval(3, T0))
    assert holders.in_question("x", 4, T0 + 30_000)
    assert holders.in_question("x", 3, T0 + 10_000)


def test_generations_that_begin_anew_put_nothing_in_question_for_ever() -> None:
    holders = known(interval(57, T0), interval(1, T0 + 600_000))
    assert not holders.in_question("x", 1, T0 + 600_000 + OVERLAP_MS)
    assert holders.in_question("x", 57, T0 + 1)


def test_a_late_word_of_the_ledger_makes_nobody_the_holder_again() -> None:
    holders = known(interval(3, T0), interval(4, T0 + 30_000), interval(3, T0))
    assert not holders.in_question("x", 4, T0 + 30_000 + OVERLAP_MS)


def catching_up(opened: int, until: int, *, behind: bool = True) -> Interval:
    """Of the second holder, which goes on an hour back."""
    since = opened - 3_600_000
    return Interval(source="x", connection="d", opened=opened, since=since, until=until, generation=4, behind=behind)


def test_while_a_holder_catches_up_what_it_hears_is_in_question_as_another_may_have_it_on_disk() -> None:
    opened, hour = T0 + 30_000, 3_600_000
    holders = known(interval(3, T0), catching_up(opened, opened - hour))
    assert holders.in_question("x", 4, opened + 10 * OVERLAP_MS)
    holders.note(catching_up(opened, opened - 1_000))
    assert holders.in_question("x", 4, opened + 10 * OVERLAP_MS), "it is not through yet"
    through = opened + 12 * OVERLAP_MS
    holders.note(catching_up(opened, through, behind=False))
    holders.note(catching_up(opened, through + hour, behind=False))
    assert holders.in_question("x", 4, opened + 10 * OVERLAP_MS), "however late it is classified"
    assert not holders.in_question("x", 4, through + OVERLAP_MS), "what both hear live the other does not send first"


def test_a_connection_that_ended_before_it_was_through_is_followed_by_the_next() -> None:
    opened = T0 + 30_000
    again = opened + 10 * OVERLAP_MS
    holders = known(interval(3, T0), catching_up(opened, T0), catching_up(again, T0))
    holders.note(catching_up(opened, T0 + 1, behind=False))
    assert holders.in_question("x", 4, again + 10 * OVERLAP_MS), "the end of the first is told late"
    new = interval(4, again + 20 * OVERLAP_MS)
    new.since = new.opened
    holders.note(new)
    assert holders.in_question("x", 4, again + 10 * OVERLAP_MS)
    assert not holders.in_question("x", 4, new.opened + OVERLAP_MS), "this one has no past to deliver"


def test_who_was_through_before_anybody_looked_may_have_been_so_until_now() -> None:
    until = T0 + 50 * OVERLAP_MS
    holders = known(interval(3, T0), catching_up(T0 + 30_000, until, behind=False))
    assert holders.in_question("x", 4, until)
    assert not holders.in_question("x", 4, until + OVERLAP_MS)


def test_who_is_the_first_to_listen_catches_up_with_nobody() -> None:
    assert not known(catching_up(T0, T0 - 1)).in_question("x", 4, T0 + 10 * OVERLAP_MS)
