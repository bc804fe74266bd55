"""Times in the forms that sources write them."""

from __future__ import annotations

from datetime import datetime

import pytest

from app.domain import moments
from app.domain.moments import in_utc, moment


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ("Mon Sep 24 03:35:21 +0000 2012", 1_348_457_721_000),
        ("Thu Feb 29 23:59:59 +0000 2024", 1_709_251_199_000),
        ("Thu Jan 01 00:00:00 +0000 1970", 0),
        ("2012-09-24T03:35:21.000Z", 1_348_457_721_000),
        ("2012-09-24T03:35:21Z", 1_348_457_721_000),
        ("2012-09-24T03:35:21", 1_348_457_721_000),
        ("2012-09-24T05:35:21.987654+02:00", 1_348_457_721_987),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ],
)
def test_a_moment_is_read_to_the_millisecond(written: str, milliseconds: int) -> None:
    assert moment(written) == milliseconds
    assert moment(written) == milliseconds, "and again, from the day that is now known"


@pytest.mark.parametrize(
    "odd",
    [
        None,
        5,
        True,
        [],
        "",
        "yesterday",
        "Mon Sep 31 03:35:21 +0000 2012",
        "Mon Foo 24 03:35:21 +0000 2012",
        "Mon Sep 24 24:35:21 +0000 2012",
        "Mon Sep 24 03:60:21 +0000 2012",
        "Mon Sep 24 03:35:61 +0000 2012",
        "Mon Sep 24 03:35:21 +0200 2012",
        "Mon Sep 24 03:35:21 +0000 20x2",
        "Mon Sep 24 03:35:21 +0000 0000",
        "Sun Dec 31 23:59:59 +0000 1969",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "10000-01-01T00:00:00Z",
    ],
)
def test_what_is_no_moment_of_our_age_is_absent(odd: object) -> None:
    assert moment(odd) is None


@pytest.mark.parametrize("odd", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-05-01T12:00:00"])
def test_a_persons_time_that_would_overflow_in_another_zone_or_has_none_is_refused(odd: str) -> None:
    with pytest.raises(ValueError, match=r"has no time zone|within the years"):
        in_utc(datetime.fromisoformat(odd))


def test_a_persons_time_is_kept_in_utc() -> None:
    assert in_utc(datetime.fromisoformat("2026-05-01T12:00:00+02:00")).isoformat() == "2026-05-01T10:00:00+00:00"


def test_a_source_that_invents_days_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "_MAX_DAYS", 3)
    for day in range(10, 20):
        assert moment(f"Mon Sep {day} 00:00:00 +0000 2040") is not None
    assert len(moments._days) <= 3
