"""Posts that are paid for: counted, told, and warned of once."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY

from app.domain.coverage import Interval
from app.settings import Settings
from app.tracking import budget as budgets
from app.tracking.budget import Budget


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = datetime(2026, 11, 11, tzinfo=UTC)  # a third of the month is over
        monkeypatch.setattr(budgets, "time", self.time)

    def time(self) -> float:
        return self.at.timestamp()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def budget(*, soft: int | None = None, hard: int | None = None, read: int = 0, source: str = "x") -> Budget:
    entry = Interval(source=source, connection="c", opened=1, since=1, until=1, reads={"2026-11": read, "2026-10": 7})
    return Budget(Settings(x_reads_soft=soft, x_reads_hard=hard), source, [entry])


def shown(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"starling_reads_{name}", {"source": "x"})


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    own = [record.getMessage() for record in caplog.records if record.name == budgets.__name__]
    return [message.split("STARLING_X_READS_")[1][:4] for message in own]


def test_it_goes_on_from_the_ledger_and_says_what_is_to_be_expected(clock: Clock) -> None:
    made = budget(soft=1000, read=100)
    made.read(50)
    assert made.words() == "150 posts read in 2026-11, about 450 by its end"


@pytest.mark.parametrize(
    ("read", "warning"), [(340, "; that is beyond the 1,000 set"), (1001, "; beyond the 1,000 set"), (300, "")]
)
def test_it_says_that_a_limit_is_passed_or_will_be(clock: Clock, read: int, warning: str) -> None:
    said = budget(soft=1000, hard=5000, read=read).words()
    assert said.partition(" by its end")[2] == warning


def test_without_a_limit_there_are_no_words(clock: Clock) -> None:
    assert budget(read=100).words() == ""
    assert budget(soft=10, read=100, source="bluesky").words() == ""


def test_the_first_day_is_no_base_for_a_forecast(clock: Clock) -> None:
    clock.at = datetime(2026, 11, 1, 0, 20, tzinfo=UTC)
    made = budget(soft=1000, read=100)
    assert made.words() == "100 posts read in 2026-11"
    made.watch()
    assert (shown("month"), shown("forecast")) == (100, 100)


def test_figures_are_shown_while_it_is_read(clock: Clock) -> None:
    made = budget(read=100)
    made.watch()
    assert (shown("month"), shown("forecast")) == (100, 300)
    made.stop()
    assert (shown("month"), shown("forecast")) == (0, 0)


def test_its_limits_are_figures_beside_what_was_read(clock: Clock) -> None:
    budget(soft=1000, hard=5000).watch()
    limits = {name: {"source": "x", "limit": name} for name in ("soft", "hard")}
    found = {name: REGISTRY.get_sample_value("starling_reads_limit", labels) for name, labels in limits.items()}
    assert found == {"soft": 1000, "hard": 5000}


def test_each_limit_is_warned_of_once_a_month(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    made = budget(soft=200, hard=1000, read=200)
    made.watch()
    assert warned(caplog) == []
    for _ in range(2):
        made.read(50)
        made.watch()
    assert warned(caplog) == ["SOFT"]
    made.read(40)
    made.watch()
    made.watch()
    assert warned(caplog) == ["SOFT", "HARD"]
    clock.at = datetime(2026, 12, 11, tzinfo=UTC)
    made.read(201)
    made.watch()
    assert warned(caplog) == ["SOFT", "HARD", "SOFT"]


def test_a_new_month_begins_with_nothing(clock: Clock) -> None:
    made = budget(hard=100, read=100)
    assert made.exceeded() is not None
    clock.at = datetime(2026, 12, 1, tzinfo=UTC)
    assert made.exceeded() is None


def test_what_the_ledger_tells_late_is_counted_by_what_was_not_known_of_it(clock: Clock) -> None:
    def told(connection: str, opened: int, **reads: int) -> Interval:
        by_month = {"2026-" + month[1:]: count for month, count in reads.items()}
        return Interval(source="x", connection=connection, opened=opened, since=1, until=1, reads=by_month)

    began = int(clock.time() * 1000)
    made = Budget(Settings(x_reads_hard=100), "x", [told("a", 1, _11=10), told("gone", 2, _11=1)])
    made.read(3)
    for _ in range(2):
        made.learn([told("a", 1, _11=30, _10=500), told("b", 3, _11=50), told("mine", began, _11=3)])
        assert made.reads == 1 + 30 + 50 + 3
    assert made.exceeded() is None
    made.read(16)
    assert made.exceeded() is not None


def test_a_clock_that_was_wrong_for_a_moment_makes_nothing_unread(clock: Clock) -> None:
    made, now = budget(hard=100, read=60), clock.at
    made.read(50)
    clock.at = datetime(2026, 12, 1, tzinfo=UTC)
    assert (made.reads, made.exceeded()) == (0, None)
    clock.at = now
    assert made.reads == 110
    assert made.exceeded() is not None


def test_a_clock_that_was_wrong_at_the_start_hides_nothing_that_was_read(clock: Clock) -> None:
    now, clock.at = clock.at, datetime(2020, 1, 1, tzinfo=UTC)
    made = budget(read=60)
    assert made.reads == 0
    clock.at = now
    assert made.reads == 60
