"""How long a source waits before it tries again: X's documented steps, and never less."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from app.domain.backoff import HEARD_ENOUGH, Backoff, Trouble


class NoJitter(Random):
    def random(self) -> float:
        return 0.0


def waits(trouble: Trouble, times: int) -> list[float]:
    backoff = Backoff(NoJitter())
    return [backoff.after(trouble) for _ in range(times)]


@pytest.mark.parametrize(
    ("trouble", "first", "last"),
    [
        (Trouble.NETWORK, [0.25, 0.5, 0.75, 1.0], 16),
        (Trouble.HTTP, [5, 10, 20, 40, 80, 160, 320, 320], 320),
        (Trouble.CONNECTIONS, [5, 10, 20, 40, 80, 160, 320, 320], 320),
        (Trouble.RATE, [60, 120, 240, 480, 900, 900], 900),
        (Trouble.DENIED, [60, 120, 240, 480, 900, 900], 900),
        (Trouble.ENDED, [0, 0.25, 0.5, 0.75], 16),
        (Trouble.STALLED, [5, 10, 20, 40, 60, 60], 60),
        (Trouble.DISCONNECTED, [0, 5, 10, 20, 40, 80, 160, 320, 320], 320),
    ],
)
def test_the_steps_that_x_documents(trouble: Trouble, first: list[float], last: float) -> None:
    found = waits(trouble, 5000)
    assert found[: len(first)] == first
    assert found[-1] == last


@pytest.mark.parametrize("trouble", list(Trouble))
def test_jitter_only_adds_and_is_repeatable(trouble: Trouble) -> None:
    one, other = Backoff(Random(7)), Backoff(Random(7))
    for plain in waits(trouble, 100):
        wait = one.after(trouble)
        assert plain <= wait <= plain * 1.1
        assert wait == other.after(trouble)


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(7.0, 60.0), (600.0, 600.0), (5000.0, 5000.0), (-3.0, 60.0), (1.8e12, 60.0), (float("inf"), 60.0)],
)
def test_the_server_may_ask_for_more_but_not_for_less(asked: float, waited: float) -> None:
    assert Backoff(NoJitter()).after(Trouble.RATE, retry_after=asked) == waited


def test_a_connection_that_was_stalled_was_not_heard_however_long_it_lived() -> None:
    backoff = Backoff(NoJitter())
    assert [backoff.after(Trouble.STALLED, heard=2 * HEARD_ENOUGH) for _ in range(3)] == [5, 10, 20]


def test_a_connection_that_was_heard_forgets_earlier_trouble() -> None:
    backoff = Backoff(NoJitter())
    for trouble in (Trouble.NETWORK, Trouble.HTTP, Trouble.ENDED, Trouble.ENDED):
        backoff.after(trouble)
    assert backoff.after(Trouble.ENDED, heard=HEARD_ENOUGH) == 0
    assert backoff.after(Trouble.HTTP) == 5


def test_a_server_that_accepts_and_drops_at_once_is_asked_more_and_more_seldom() -> None:
    backoff = Backoff(NoJitter())
    found = [backoff.after(Trouble.ENDED, heard=1.0) for _ in range(70)]
    assert all(shorter <= longer for shorter, longer in pairwise(found))
    assert found[-1] == 16


def test_two_programs_that_end_each_other_s_connections_meet_more_and_more_seldom() -> None:
    """As X in `evict` has it: who connects ends the other's connection, and is told nothing of why."""
    due = {"one": 0.0, "other": 1.0}  # when each of them connects
    backoffs = {name: Backoff(NoJitter()) for name in due}
    listening, began, connects, now = "", 0.0, 0, 0.0
    while now < 3600:
        name = min(due, key=lambda one: due[one])
        now, connects = due.pop(name), connects + 1
        if listening:
            due[listening] = now + backoffs[listening].after(Trouble.DISCONNECTED, heard=now - began)
        listening, began = name, now
    assert connects < 60


def test_kinds_of_trouble_are_counted_apart() -> None:
    backoff = Backoff(NoJitter())
    assert [backoff.after(trouble) for trouble in (Trouble.HTTP, Trouble.NETWORK, Trouble.HTTP)] == [5, 0.25, 10]
