"""`starling compliance`: asks X which of the stored posts it has taken back, and has that carried out."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
from aiokafka.errors import KafkaError

from app.domain.codes import check_code
from app.domain.retracting import MOST_LINES, Retraction
from app.errors import UserError
from app.settings import Settings, settings
from app.sources.source import Broken
from cli.completion import event_codes
from cli.event_arguments import with_code, with_json
from cli.event_options import who
from cli.service import only_direct
from cli.terminal import prepare, print_json, safe, waiting


@click.group()
def compliance() -> None:
    """Carry out what sources take back."""


@compliance.command()
@click.argument("codes", metavar="[CODE]...", nargs=-1, shell_complete=event_codes)
@click.option("--job", metavar="ID", help="Go on with a job of X that was begun before, instead of a new one.")
@with_json
def check(codes: Sequence[str], job: str | None, as_json: bool) -> None:
    """Ask X which posts of these events (or of all) were deleted or changed since, and have that carried out.

    X takes minutes to hours. Broken off, go on with --job; to carry out twice is to carry out once. X tells no other
    way what was deleted: do this daily, by cron.
    """
    prepare()
    only_direct("`starling compliance`")
    try:
        wanted = tuple(check_code(code) for code in codes)
    except ValueError as wrong:
        raise UserError(str(wrong)) from None
    if job is not None and codes:
        raise UserError("a job has its posts: --job goes without events")
    if job is not None and not (job.isascii() and job.isalnum()):
        raise UserError(f"{job!r} is not the id of a job of X")
    if not settings().x_bearer_token:
        raise UserError("there is no token for X; set STARLING_X_BEARER_TOKEN")
    try:
        asked, found = asyncio.run(_check(settings(), wanted, job))
    except Broken as broken:
        raise UserError(str(broken)) from None
    if as_json:
        print_json({"asked": asked, "taken_back": found.total(), "reasons": found})
        return
    of = "" if asked is None else f" of {asked:,}"
    click.echo(f"X has taken back {found.total():,}{of} posts; each event's policy is carried out now")
    for reason, count in found.most_common():
        click.echo(safe(f"  {count:,} {reason}"))


@compliance.command("apply")
@with_code
@with_json
def apply_(code: str, as_json: bool) -> None:
    """Carry out by an event's policy of today what sources told before: after `event edit --deletions`.

    What was removed stays removed, what was redacted cannot be had again.
    """
    prepare()
    only_direct("`starling compliance`")
    count = asyncio.run(_apply(settings(), code))
    if as_json:
        print_json({"posts": count})
    else:
        click.echo(safe(f"{count:,} posts of {code} that were taken back are dealt with anew, by its policy"))


async def _apply(chosen: Settings, code: str) -> int:
    from app.clients import audit  # noqa: PLC0415 -- the drivers are slow to import
    from app.clients.complying import told_before  # noqa: PLC0415

    await _known(chosen, (code,))
    found = await asyncio.to_thread(told_before, chosen, code)
    await audit.write(chosen, who(), "compliance.apply", code, {"posts": len(found)})
    await _carry_out(chosen, found)
    return len(found)


async def _known(chosen: Settings, codes: Sequence[str]) -> list[str]:
    """All events; those that are named must be among them."""
    from app.clients.event_commands import read_events  # noqa: PLC0415 -- as above

    events = await read_events(chosen)
    if strange := next((code for code in codes if code not in events), None):
        raise UserError(f"there is no event {strange!r}; `starling event list` shows all")
    return sorted(events)


async def _check(chosen: Settings, codes: tuple[str, ...], number: str | None) -> tuple[int | None, Counter[str]]:
    """Posts that X was asked about, where a new job was begun, and those that it has taken back, by why."""
    from app.clients import audit  # noqa: PLC0415 -- the drivers are slow to import
    from app.sources.x_compliance import Compliance  # noqa: PLC0415

    asked = None
    jobs = Compliance(chosen)
    try:
        if number is None:
            with tempfile.TemporaryDirectory(prefix="starling-") as folder:
                file = Path(folder) / "ids"
                asked = await _write_ids(chosen, codes, file)
                if asked == 0:
                    return 0, Counter()
                job = await jobs.create(f"starling {int(time.time())}")
                number = job.id
                await audit.write(chosen, who(), "compliance.check", ",".join(codes) or "*", {"job": number})
                await jobs.upload(job, file)
            go_on = f"starling compliance check --job {number}"
            click.echo(safe(f"X checks {asked:,} posts; if this is broken off: {go_on}"), err=True)
        with waiting(f"X works on job {number}"):
            done = await jobs.wait(number, lambda _: None)
        return asked, await _carry_out(chosen, [one async for one in jobs.results(done)])
    finally:
        await jobs.close()


async def _write_ids(chosen: Settings, codes: tuple[str, ...], file: Path) -> int:
    from app.clients.complying import write_ids  # noqa: PLC0415 -- as above

    known = await _known(chosen, codes)
    return await asyncio.to_thread(write_ids, chosen, codes or known, file)


async def _carry_out(chosen: Settings, found: Sequence[Retraction]) -> Counter[str]:
    """Send it the way of what sources tell by themselves."""
    from app.clients.kafka import producer, unreachable  # noqa: PLC0415 -- as above
    from app.domain.records import raw_headers  # noqa: PLC0415
    from app.topics import RAW, full_name  # noqa: PLC0415

    headers = raw_headers("x", "v1", int(time.time() * 1000), "live")
    async with producer(chosen) as sender:
        try:
            for at in range(0, len(found), MOST_LINES):
                value = b"\n".join(one.line for one in found[at : at + MOST_LINES])
                await sender.send_and_wait(full_name(RAW, chosen), value, headers=headers)
        except (KafkaError, OSError) as error:
            raise unreachable(chosen, error) from None
    return Counter(one.why.removeprefix("X: ") for one in found)
