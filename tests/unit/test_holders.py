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
