"""`starling coverage`: what was heard of an event, and what was not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import click
import msgspec

from app.domain.coverage import Entry
from app.domain.events import Event
from app.domain.heard import Heard, active_in, jointly, to_ms
from app.domain.heard import coverage as heard_of
from app.domain.heard_plain import plain, plain_joint
from app.domain.spans import Span
from app.errors import UserError
from app.settings import Settings, settings
from cli.coverage_views import (
    GAP_COLUMNS,
    WITHOUT_COLUMNS,
    gap_rows,
    joint_sentence,
    left_sentences,
    sentence,
    without_rows,
)
from cli.event_options import parse_time
from cli.terminal import prepare, print_json, print_table


@click.command()
@click.argument("code")
@click.option("--from", "from_", metavar="AGO|TIME", help="Look from here on: 2h (ago), or a time.")
@click.option("--to", metavar="AGO|TIME", help="Look up to here; else up to now.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def coverage(code: str, from_: str | None, to: str | None, as_json: bool) -> None:
    """Show in which part of its active time an event was heard, and every gap."""
    prepare()
    span = _span(from_, to)
    event, entries, strange = asyncio.run(_read(settings(), code))
    now = to_ms(datetime.now(UTC))
    found = heard_of(event, entries, now, span)
    joint = jointly(event, entries, now, span)
    if as_json:
        sources = [plain(one) for one in found]
        print_json({"code": code, "all_sources": plain_joint(joint, now), "sources": sources, "platform_only": strange})
    elif not active_in(event, now, span):
        click.echo(f"{code} was not active in that time" if span else f"{code} has not been active yet")
    elif not found:
        click.echo(f"no live source was there while {code} was active")
    else:
        if len(found) > 1:
            click.echo(joint_sentence(joint))
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


async def _read(current: Settings, code: str) -> tuple[Event, list[Entry], int]:
    """The event, the whole ledger, and the posts that X alone found to match. Raises UserError, Unavailable."""
    from app.clients.compacted import read_compacted  # noqa: PLC0415 - the drivers are slow to import
    from app.clients.event_commands import read_events  # noqa: PLC0415
    from app.clients.ledger import read_entries  # noqa: PLC0415
    from app.domain.classify import Intake  # noqa: PLC0415
    from app.topics import ACTIVITY  # noqa: PLC0415

    events, entries, counts = await asyncio.gather(
        read_events(current), read_entries(current), read_compacted(current, ACTIVITY, bytes)
    )
    if code not in events:
        raise UserError(f"there is no event {code!r}; `starling event list` shows all")
    intake = (msgspec.json.decode(value, type=Intake) for key, value in counts.items() if key.startswith("*|"))
    return events[code], entries, sum(part.platform_only.get(code, 0) for part in intake)


def _print(heard: Heard) -> None:
    click.echo(sentence(heard))
    for line in left_sentences(heard):
        click.echo(line)
    if heard.gaps:
        print_table(GAP_COLUMNS, gap_rows(heard))
    if heard.without:
        print_table(WITHOUT_COLUMNS, without_rows(heard))
