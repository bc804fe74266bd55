"""What a benchmark says of its targets."""

from __future__ import annotations

import pytest

from benchmarks.report import Result


@pytest.mark.parametrize(
    ("value", "target", "at_most", "verdict"),
    [
        (5.0, 5.0, False, "met"),
        (4.0, 5.0, False, "missed by 20%"),
        (5.0, 5.0, True, "met"),
        (6.0, 5.0, True, "missed by 20%"),
        (0.0, 0.0, True, "met"),
        (3.0, 0.0, True, "missed"),
        (3.0, None, True, ""),
    ],
)
def test_a_target_is_met_or_missed_by_so_much(value: float, target: float | None, at_most: bool, verdict: str) -> None:
    assert Result("section", "case", "what", value, "", target, at_most).verdict == verdict
