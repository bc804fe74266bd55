"""`starling notify`: who is told of what happens, and of what not."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import click
import msgspec

from app.clients.notices import Undelivered, Way, ways
from app.domain.codes import check_code
from app.domain.digests import compose
from app.domain.notices import KINDS, Kind, Notice, Outcome
from app.errors import UserError
from app.settings import settings
from cli.event_arguments import with_json
from cli.event_options import parse_time, who
from cli.notify_views import clock, print_receivers
from cli.service import only_direct, service
from cli.terminal import cell, moment, prepare, print_json, print_table, safe

NONE = "nobody is told: set STARLING_NOTIFY_WEBHOOK, or STARLING_NOTIFY_SMTP_HOST and what belongs to it"
FAILED = 1


@click.group()
def notify() -> None:
    """Tell people what happens: by webhook and e-mail."""
    prepare()


@notify.command()
@with_json
def test(*, as_json: bool) -> None:
    """Send a notice to every receiver that the settings name, and say what failed."""
    only_direct("`starling notify test`")
    found = list(ways(settings()))
    if not found:
        raise UserError(NONE)
    results = asyncio.run(_try(found))
    if as_json:
        print_json([{"receiver": way.name, "place": way.place, "ok": ok, "words": said} for way, ok, said in results])
    else:
        for way, _, said in results:
            click.echo(safe(f"{way.name} ({way.place}): {said}"))
    if not all(ok for _, ok, _ in results):
        sys.exit(FAILED)


async def _try(found: Iterable[Way]) -> list[tuple[Way, bool, str]]:
    now = int(time.time() * 1000)
    name = f"test:{secrets.token_hex(8)}"
    notice = Notice(
        id=name, kind="test", at=now, since=now, title="a test of the notices", text=f"asked for by {who()}"
    )
    letter = compose(name.replace(":", "-"), now, [notice])

    async def one(way: Way) -> tuple[Way, bool, str]:
        try:
            return way, True, (await way.send(letter)) or "told"
        except Undelivered as wrong:
            return way, False, str(wrong)

    return list(await asyncio.gather(*(one(way) for way in found)))


@notify.command("list")
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="So many of the newest.")
@with_json
def list_notices(*, last: int, as_json: bool) -> None:
    """List the newest notices, what became of them, and how the receivers do."""
    found, became, receivers = asyncio.run(service().notices(last))
    if as_json:
        told = [msgspec.to_builtins(one) | {"outcomes": became.get(one.id, {})} for one in found]
        print_json({"notices": told, "receivers": receivers})
        return
    if found:
        rows = (
            (cell(clock(one.since)), cell(one.kind), cell(f"{one.title}\n{one.text}".strip()), cell(_fate(one, became)))
            for one in found
        )
        print_table(("since", "kind", "what", "told"), rows)
    else:
        click.echo("no notices yet")
    if receivers:
        print_receivers(receivers)


def _fate(notice: Notice, became: dict[str, dict[str, Outcome]]) -> str:
    if notice.muted:
        return f"muted ({notice.muted})"
    told = became.get(notice.id, {})
    return ", ".join(f"{name}: {told.get(name, 'waiting')}" for name in notice.due) or "nobody"


@notify.command()
@click.option("--event", "code", help="Only notices about this event alone.")
@click.option("--kind", type=click.Choice(KINDS), help="Only notices of this kind.")
@click.option("--until", metavar="TIME", help="Until when: ISO 8601, or now+2h; else until `unmute`.")
@click.option("--why", default="", help="Reason, kept with it.")
@with_json
def mute(*, code: str | None, kind: Kind | None, until: str | None, why: str, as_json: bool) -> None:
    """Have nobody told of some notices, or of any. They are listed all the same."""
    try:
        end = (
            None
            if until is None
            else parse_time(until, "--until", datetime.now(UTC), lambda note: click.echo(note, err=True))
        )
        made = asyncio.run(service().mute(check_code(code) if code else "", kind or "", end, why))
    except ValueError as wrong:
        raise UserError(str(wrong)) from None
    if as_json:
        print_json(made)
    else:
        click.echo(f"muted ({made.id}) {'until ' + moment(end) if end else 'until `starling notify unmute`'}")


@notify.command()
@click.argument("name", metavar="ID")
@with_json
def unmute(*, name: str, as_json: bool) -> None:
    """End the mute ID."""
    asyncio.run(service().unmute(name))
    if as_json:
        print_json({"id": name, "removed": True})
    else:
        click.echo(f"{name} is no longer muted")


@notify.command()
@with_json
def mutes(*, as_json: bool) -> None:
    """List the mutes that hold."""
    held = sorted(asyncio.run(service().mutes()), key=lambda one: one.at)
    if as_json:
        print_json(held)
    elif held:
        rows = (
            map(cell, (one.id, one.event or "any", one.kind or "any", moment(one.until) or "-", one.who, one.why))
            for one in held
        )
        print_table(("id", "event", "kind", "until", "by", "why"), rows)
    else:
        click.echo("nothing is muted")
