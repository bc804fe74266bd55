"""How far a source has come that delivers its past: up to what is kept, until it has caught up."""

from __future__ import annotations

from app.domain.past import NEW_MS, PAUSE_SECONDS, UNTOLD_SECONDS, Past

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
    past.sign(PAUSE_SECONDS - 1)
    past.line(PAUSE_SECONDS)
    past.sign(2 * PAUSE_SECONDS - 1)
    assert not past.through
    past.sign(2 * PAUSE_SECONDS)
    assert past.through


def test_a_source_whose_lines_tell_no_time_has_caught_up_after_a_while_and_another_has_not() -> None:
    untold, told = Past(NOW - HOUR, 0.0), Past(NOW - HOUR, 0.0)
    told.kept(NOW - HOUR, NOW)
    for past in (untold, told):
        past.tick(UNTOLD_SECONDS - 1)
        assert not past.through
        past.tick(UNTOLD_SECONDS)
    assert (untold.through, told.through) == (True, False)
