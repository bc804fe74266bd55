"""How entries of the ledger become rows: what is written later must be what stands."""

from __future__ import annotations

import msgspec

from app.clients.encoding import coverage_values, outage_values
from app.domain.coverage import Interval, Left, Outage, Refusal
from app.schema import COVERAGE_COLUMNS, OUTAGE_COLUMNS


def test_the_last_word_on_an_interval_wins_though_nothing_was_heard_since_the_one_before() -> None:
    lasting = Interval(source="x", connection="c", opened=1, since=1, until=5)
    ended = msgspec.structs.replace(lasting, ended="cut")
    assert coverage_values(ended)[-1] > coverage_values(lasting)[-1]
    revised = msgspec.structs.replace(ended, revised=1)
    assert coverage_values(revised)[-1] > coverage_values(ended)[-1]
    outage = Outage(source="x", since=1, until=5, why="cut")
    assert outage_values(msgspec.structs.replace(outage, ended="connected"))[-1] > outage_values(outage)[-1]
    left = Left(source="x", since=5, holder="a")
    assert outage_values(msgspec.structs.replace(left, until=5))[-1] > outage_values(left)[-1]


def test_each_value_has_its_column() -> None:
    refused = [Refusal("flood", 1, ("xyz: no",), 2)]
    interval = Interval(source="x", connection="c", opened=1, since=1, until=5, refused=refused)
    row = dict(zip(COVERAGE_COLUMNS, coverage_values(interval)[:-1], strict=True))
    assert row["refused"] == '[{"code":"flood","since":1,"what":["xyz: no"],"until":2}]'
    outage = Outage(source="x", since=1, until=5, why="cut", ended="connected")
    assert dict(zip(OUTAGE_COLUMNS, outage_values(outage)[:-1], strict=True)) == {
        "source": "x",
        "since": 1,
        "kind": "outage",
        "until": 5,
        "why": "cut",
        "ended": "connected",
    }
    away = dict(zip(OUTAGE_COLUMNS, outage_values(Left(source="x", since=1, holder="host:7"))[:-1], strict=True))
    assert (away["kind"], away["until"]) == ("left", None)
    assert "host:7" in away["why"]
