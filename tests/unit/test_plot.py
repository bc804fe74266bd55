"""Bars and strips stand where their time is, and inside their box."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.domain.figures import Series
from app.domain.strip import Kept, Piece, Strip
from app.web.plot import HEIGHT, WIDTH, plot, row

STEP = 60_000


def series(*posts: int) -> Series:
    return Series("hour", 0, STEP, posts)


def test_bars_stand_at_their_time_and_are_as_high_as_their_posts() -> None:
    found = plot(series(0, 5, 10, 0))
    assert [(bar.at, bar.posts, bar.x, bar.y, bar.height) for bar in found.bars] == [
        (STEP, 5, 250, 100, 100),
        (2 * STEP, 10, 500, 0, 200),
    ]
    assert (found.most, found.since, found.until) == (10, 0, 4 * STEP)


def test_one_post_among_thousands_is_seen() -> None:
    assert plot(series(1, 100_000)).bars[0].height > 0


@given(st.lists(st.integers(0, 10**9), max_size=120))
def test_all_of_a_plot_is_inside_its_box(posts: list[int]) -> None:
    found = plot(series(*posts))
    assert sum(bar.posts for bar in found.bars) == sum(posts)
    for bar in found.bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= WIDTH + 0.1
        assert bar.y >= 0
        assert bar.y + bar.height <= HEIGHT + 0.1


def test_a_strip_stands_beneath_the_bars_and_moments_close_together_are_one() -> None:
    strip = Strip(
        "x",
        0.5,
        (Piece(0, 2 * STEP, "heard"), Piece(2 * STEP, 4 * STEP, "gap", "cut")),
        (Kept(STEP, 3), Kept(STEP + 10, 4), Kept(3 * STEP, 1)),
    )
    found = row(strip, series(0, 0, 0, 0))
    assert [(box.x, box.width, box.piece.state) for box in found.boxes] == [(0, 500, "heard"), (500, 500, "gap")]
    assert [(tick.x, tick.posts) for tick in found.ticks] == [(250, 7), (750, 1)]
