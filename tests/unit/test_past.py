"""How far a source has come that delivers its past: up to what is kept, until it has caught up."""

from __future__ import annotations

import pytest

from app.domain.past import NEAR_MS, NEW_MS, PAUSE_SECONDS, UNTOLD_SECONDS, Past

NOW = 1_800_000_000_000
HOUR = 3_600_000


def test_a_source_has_come_as_far_as_its_newest_line_that_is_kept() -> None:
    past = Past(NOW - HOUR, 0.0)
    past.kept(NOW - HOUR + 5000, NOW)
    past.kept(NOW - HOUR + 2000, NOW)
    assert (past.heard(NOW), past.through) == (NOW - HOUR + 5000, False)
    assert past.heard(NOW - HOUR + 1000) == NOW - HOUR + 1000


def test_a_line_from_before_it_resumed_takes_nothing_back() -> None:
    past = Past(NOW - HOUR, 0.0)
    past.kept(NOW - HOUR - 10_000, NOW)
    assert past.reached == NOW - HOUR


def test_a_line_of_now_says_that_it_has_caught_up() -> None:
    past = Past(NOW - HOUR, 0.0)
    past.kept(NOW - NEW_MS, NOW)
    assert not past.through
    past.kept(NOW - NEW_MS + 1, NOW)
    assert past.through
    assert past.heard(NOW + 1000) == NOW + 1000


def test_a_line_of_the_future_has_come_to_now() -> None:
    past = Past(NOW - HOUR, 0.0)
    past.kept(NOW + HOUR, NOW)
    assert (past.reached, past.through) == (NOW, True)


def test_a_sign_of_life_after_a_pause_says_that_there_is_no_more_and_one_between_two_lines_does_not() -> None:
    past = Past(NOW - HOUR, 0.0)
    past.sign(PAUSE_SECONDS - 1, NOW)
    past.line(PAUSE_SECONDS)
    past.sign(2 * PAUSE_SECONDS - 1, NOW)
    assert not past.through
    past.sign(2 * PAUSE_SECONDS, NOW)
    assert past.through


def test_where_lines_are_dated_one_that_brings_none_has_delivered_nothing_however_long_it_lives() -> None:
    past = Past(NOW - 1000, 0.0, dated=True)
    for second in range(300):
        past.tick(second)
        past.sign(second, NOW + 1000 * second)
    assert (past.heard(NOW + 300_000), past.through) == (NOW - 1000, False)
    past.line(300)
    past.kept(NOW + 299_000, NOW + 300_000)
    assert past.through


@pytest.mark.parametrize(("missing", "through"), [(NEAR_MS, False), (NEAR_MS - 1, True)])
def test_where_lines_are_dated_silence_after_one_stands_for_a_short_time_alone(missing: int, through: bool) -> None:
    past = Past(NOW - HOUR, 0.0, dated=True)
    past.line(1.0)
    past.kept(NOW - missing, NOW - missing + NEW_MS)
    past.sign(1.0 + PAUSE_SECONDS, NOW)
    assert past.through is through


def test_a_source_whose_lines_tell_no_time_has_caught_up_after_a_while_and_another_has_not() -> None:
    untold, told = Past(NOW - HOUR, 0.0), Past(NOW - HOUR, 0.0)
    told.kept(NOW - HOUR, NOW)
    for past in (untold, told):
        past.tick(UNTOLD_SECONDS - 1)
        assert not past.through
        past.tick(UNTOLD_SECONDS)
    assert (untold.through, told.through) == (True, False)
