"""What somebody is told who waits for posts."""

from __future__ import annotations

import pytest

from app.domain.silence import Silence

Heard = tuple[int, int]  # posts, and how many match


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        # second -> (posts, matched); what is told at which second
        (dict.fromkeys(range(120), (5, 1)), {}),
        ({}, {10: "nothing comes at all, for 10 s", 70: "nothing comes at all, for 70 s"}),
        (
            {12: (3, 0)},
            {
                10: "nothing comes at all, for 10 s",
                12: "posts come again",
                22: "nothing comes at all, for 10 s",
                82: "nothing comes at all, for 70 s",
            },
        ),
        (
            dict.fromkeys(range(120), (5, 0)),
            {30: "155 posts came in 30 s, and none matches", 90: "300 posts came in 60 s, and none matches"},
        ),
        (
            {second: (5, second == 40) for second in range(120)},
            {
                30: "155 posts came in 30 s, and none matches",
                70: "150 posts came in 30 s, and none matches",
            },
        ),
    ],
)
def test_what_is_told(heard: dict[int, Heard], told: dict[int, str]) -> None:
    silence = Silence(0.0)
    said: dict[int, str] = {}
    for second in range(90 + 1):
        silence.heard(*heard.get(second, (0, 0)), float(second))
        if (word := silence.word(float(second))) is not None:
            said[second] = word
        assert not silence.nothing_comes or second not in heard
    assert said == told
