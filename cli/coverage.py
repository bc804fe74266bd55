"""`starling coverage`: what was heard of an event, and what was not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
from rich.text import Text

from app.domain.coverage import Heard, Interval, Span, to_ms
from app.domain.coverage import coverage as heard_of
from app.domain.events import Event
from app.domain.watchdog import words
from app.errors import UserError
from app.settings import Settings, settings
from cli.event_options import parse_time
from cli.terminal import cell, moment, prepare, print_json, print_table

GAP_COLUMNS = ("from", "to", "length", "why")


@click.command()
@click.argument("code")
@click.option("--from", "from_", metavar="AGO|TIME", help="Look from here on: 2h (ago), or a time.")
@click.option("--to", metavar="AGO|TIME", help="Look up to here; else up to now.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def coverage(code: str, from_: str | None, to: str | None, as_json: bool) -> None:
    """Show in which part of its active time an event was heard, and every gap."""
    prepare()
    span = _span(from_, to)
    event, intervals, strange = asyncio.run(_read(settings(), code))
    found = heard_of(event, intervals, to_ms(datetime.now(UTC)), span)
    if as_json:
        print_json({"code": code, "sources": [plain(one) for one in found], "platform_only": strange})
    elif not found:
        click.echo(f"no live source has been connected while {code} was active")
    else:
        for one in found:
            _print(one)
        if strange:
            click.echo(f"{strange:,} posts that X sent for {code} match no keyword of it here; they are not stored")


def _span(from_: str | None, to: str | None) -> Span | None:
    if from_ is None and to is None:
        return None
    now = datetime.now(UTC)

    def read(text: str | None, name: str) -> datetime | None:
        if text is None:
            return None
        return parse_time(text, name, now, lambda note: click.echo(note, err=True), past=True)

    try:
        since, until = read(from_, "--from"), read(to, "--to") or now
    except ValueError as wrong:
        raise UserError(str(wrong)) from None
    if since is not None and since >= until:
        raise UserError("--from is not before --to" if to else "--from is not in the past")
    return to_ms(since) if since else 0, to_ms(until)


async def _read(current: Settings, code: str) -> tuple[Event, list[Interval], int]:
    """The event, the whole ledger, and the posts that X alone found to match. Raises UserError, Unavailable."""
    from app.clients.compacted import read_compacted  # noqa: PLC0415 - the drivers are slow to import
    from app.clients.event_commands import read_events  # noqa: PLC0415
    from app.clients.ledger import read_intervals  # noqa: PLC0415
    from app.domain.classify import Intake  # noqa: PLC0415
    from app.topics import ACTIVITY  # noqa: PLC0415

    events, intervals, counts = await asyncio.gather(
        read_events(current), read_intervals(current), read_compacted(current, ACTIVITY, bytes)
    )
    if code not in events:
        raise UserError(f"there is no event {code!r}; `starling event list` shows all")
    intake = (msgspec.json.decode(value, type=Intake) for key, value in counts.items() if key.startswith("*|"))
    return events[code], intervals, sum(part.platform_only.get(code, 0) for part in intake)


def plain(heard: Heard) -> dict[str, Any]:
    """What `--json` says of one source."""
    return {
        "source": heard.source,
        "share": round(heard.share, 6),
        "active_seconds": heard.active / 1000,
        "heard_seconds": heard.heard / 1000,
        "gaps": [
            {
                "from": _iso(gap.since),
                "to": None if gap.goes_on else _iso(gap.until),
                "seconds": gap.seconds,
                "why": gap.why,
            }
            for gap in heard.gaps
        ],
        "withheld": heard.withheld,
        "posts": heard.posts,
        "posts_are_of_the_event": heard.exact,
        "intervals": [msgspec.to_builtins(interval) for interval in heard.intervals],
    }


def _print(heard: Heard) -> None:
    click.echo(sentence(heard))
    if heard.gaps:
        print_table(GAP_COLUMNS, gap_rows(heard))


def sentence(heard: Heard) -> str:
    """How an event was heard by a source."""
    gaps = "no gap" if not heard.gaps else f"{len(heard.gaps)} gap" + "s" * (len(heard.gaps) > 1)
    withheld = f", ~{heard.withheld:,} posts withheld by the source" if heard.withheld else ""
    of = "posts" if heard.exact else "posts of all events"
    return f"{heard.source}: {_percent(heard.share)} of the time heard, {gaps}{withheld}; {heard.posts:,} {of}"


def gap_rows(heard: Heard) -> Iterator[tuple[Text, ...]]:
    """A row of GAP_COLUMNS for each gap."""
    for gap in heard.gaps:
        yield (
            cell(_shown(gap.since)),
            cell("now" if gap.goes_on else _shown(gap.until)),
            cell(_length(gap.seconds)),
            cell(gap.why),
        )


def _length(seconds: float) -> str:
    return words(seconds) if seconds >= 10 else f"{max(seconds, 0.1):.1f} s"


def _percent(share: float) -> str:
    """One decimal, and never 100 % where something is missing."""
    return "100 %" if share == 1 else f"{min(int(share * 1000) / 10, 99.9):g} %"


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def _shown(ms: int) -> str:
    return moment(datetime.fromtimestamp(ms / 1000, UTC)) or ""
