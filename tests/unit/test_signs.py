"""Signs of life: which of them prove something, and of what time."""

from __future__ import annotations

import pytest

from app.domain.signs import HELD_UP_SECONDS, OLD_SECONDS, Signs

SILENT = 30.0


def running(signs: Signs, since: float, until: float) -> None:
    """The process runs in that time, and looks every second."""
    at = since
    while at < until:
        signs.look(at)
        at += 1


@pytest.mark.parametrize("frozen", [HELD_UP_SECONDS + 0.5, 10.0, SILENT - 0.5, 3600.0])
def test_what_is_read_right_after_a_freeze_proves_nothing(frozen: float) -> None:
    signs = Signs(0, 0.0, SILENT)
    signs.came(1000, 1.0)
    thawed = 1.0 + frozen
    at = thawed
    while at < thawed + OLD_SECONDS:
        assert not signs.came(int(at * 1000), at)
        at += 0.5
    assert signs.last == 1000


def test_who_looks_before_it_reads_knows_of_the_freeze_too() -> None:
    signs = Signs(0, 0.0, SILENT)
    assert not signs.look(10.0)
    assert not signs.came(10_001, 10.001)
    assert signs.last == 0


def test_a_new_sign_proves_the_time_of_the_freeze_as_well() -> None:
    signs = Signs(0, 0.0, SILENT)
    running(signs, 10.0, 10.0 + OLD_SECONDS)
    at = 10.0 + OLD_SECONDS
    assert signs.came(int(at * 1000), at)
    assert signs.last == int(at * 1000)


def test_a_process_that_is_merely_slow_is_believed() -> None:
    signs = Signs(0, 0.0, SILENT)
    for at in (HELD_UP_SECONDS, 2 * HELD_UP_SECONDS, 3 * HELD_UP_SECONDS):
        assert signs.came(int(at * 1000), at)
    assert signs.last == int(3 * HELD_UP_SECONDS * 1000)


def test_a_sign_after_which_the_connection_should_have_been_given_up_proves_nothing() -> None:
    signs = Signs(0, 0.0, SILENT)
    running(signs, 0.0, SILENT)
    assert signs.came(int(SILENT * 1000), SILENT)
    assert signs.last == 0


def test_a_keep_alive_read_right_after_a_stall_does_not_end_what_the_next_ones_prove() -> None:
    every = SILENT * 2 / 3
    signs = Signs(0, 0.0, SILENT)
    stalled = every - HELD_UP_SECONDS - 0.5
    running(signs, 0.0, stalled)
    assert not signs.came(int(every * 1000), every)
    running(signs, every, 2 * every)
    assert signs.last == 0
    signs.came(int(2 * every * 1000), 2 * every)
    assert signs.last == int(2 * every * 1000)


def test_after_hold_ups_that_follow_each_other_for_long_it_is_heard_again() -> None:
    signs = Signs(0, 0.0, SILENT)
    at = 0.0
    while at < 2 * SILENT:
        signs.held_up(at)
        signs.came(int(at * 1000), at)
        at += 1
    assert signs.last == 0
    while at < 2 * SILENT + OLD_SECONDS:
        signs.came(int(at * 1000), at)
        at += 1
    assert signs.last == int((at - 1) * 1000)


def test_what_comes_while_a_connection_is_left_claims_no_time() -> None:
    signs = Signs(0, 0.0, SILENT)
    signs.came(1000, 1.0)
    signs.leave()
    signs.came(1200, 1.2)
    assert signs.last == 1000
