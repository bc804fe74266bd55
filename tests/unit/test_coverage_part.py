"""`starling coverage` with a ledger in memory: which part of the time is looked at."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

import cli.coverage
from app.domain.coverage import InForce, Interval
from app.domain.decisions import Command, decide
from app.domain.events import Definition
from app.domain.heard_plain import WholeCoverage, whole_coverage
from app.domain.spans import Span
from app.errors import UserError


@pytest.fixture(autouse=True)
def heard_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that was made a day ago and is heard since."""
    now = datetime.now(UTC)
    created = now - timedelta(days=1)
    flood = Definition(name="flood", keywords=("flood",))
    event = decide(Command(id="1", action="create", code="flood", at=created, who="a test", definition=flood), None)
    since, until = (int(at.timestamp() * 1000) for at in (created, now))
    asked = [InForce("flood", 1, since)]
    interval = Interval(source="x", connection="c", opened=since, since=since, until=until, events=asked)

    class Ledger:
        async def coverage(self, _: str, span: Span | None) -> WholeCoverage:
            return whole_coverage(event, [interval], until, span, 0, {})

    monkeypatch.setattr(cli.coverage, "service", Ledger)


def run(*typed: str) -> Result:
    return CliRunner().invoke(cli.coverage.coverage, ["flood", *typed])


@pytest.mark.parametrize(
    ("typed", "hours"),
    [((), 24), (("--from", "2h"), 2), (("--from", "3h", "--to", "60m"), 2), (("--to", "now-23h"), 1)],
)
def test_a_length_of_time_is_that_long_ago(typed: tuple[str, ...], hours: float) -> None:
    (heard,) = json.loads(run(*typed, "--json").stdout)["sources"]
    assert heard["active_seconds"] / 3600 == pytest.approx(hours, abs=0.1)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("--from", "2x"), "--from '2x' is no time: write "),
        (("--from", "1h", "--to", "2h"), "--from is not before --to"),
        (("--from", "now+1h"), "--from is not in the past"),
    ],
)
def test_a_part_that_is_none_is_told(typed: tuple[str, ...], told: str) -> None:
    refused = run(*typed).exception
    assert isinstance(refused, UserError)
    assert str(refused).startswith(told)
