"""What `starling notify` and `status` show of those who are told."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from app.domain.notices import Receiver
from cli.terminal import cell, moment, print_table


def print_receivers(receivers: Iterable[Receiver]) -> None:
    """A table of how the receivers of notices do."""
    rows = (
        (
            cell(one.name),
            cell("ok" if one.ok else "failing", "green" if one.ok else "red"),
            cell(clock(one.since)),
            cell(f"{one.place}: {one.words}"),
        )
        for one in receivers
    )
    print_table(("receiver", "state", "since", "in words"), rows)


def clock(ms: int) -> str:
    """A time (ms since 1970) in the local zone."""
    return moment(datetime.fromtimestamp(ms / 1000, UTC))
