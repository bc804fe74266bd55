"""`starling event`: what is collected. Each change is a command that the manager decides on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

import click
import msgspec

from app.clients.event_commands import new_command
from app.domain.decisions import Action, Answer, Command, Refused, code_for, decide
from app.domain.events import Definition, Event, Rematch, Status
from app.domain.rematch import PAST_SOURCES, Progress
from app.domain.tracked import tracked_at
from app.domain.wishes import Heard
from app.errors import UserError
from cli import event_files, event_preview, event_trends
from cli import event_options as options
from cli import event_rematch as rematches
from cli import event_views as views
from cli.event_arguments import with_code, with_fields, with_json, with_rematch, with_version, with_why, with_yes
from cli.service import service
from cli.terminal import prepare, print_json, safe, waiting
from cli.watching import shown, with_watch

if TYPE_CHECKING:
    from cli.service import Service


@click.group()
def event() -> None:
    """Define events, and say when to collect for them."""
    prepare()


event.add_command(event_preview.preview)
event.add_command(event_trends.trends)
event.add_command(event_files.write)
event.add_command(event_files.bring)


@event.command()
@click.argument("name")
@with_fields
@click.option("--code", help="Its code; follows from the name otherwise.")
@click.option("--draft", is_flag=True, help="Do not collect until `start`.")
@click.option("--rate", type=click.FloatRange(0), metavar="POSTS/S", help="How many posts a second are expected.")
@with_rematch
@with_why
@with_json
def create(
    *,
    name: str,
    code: str | None,
    draft: bool,
    rate: float | None,
    rematch: str | None,
    why: str,
    as_json: bool,
    **fields: Any,
) -> None:
    """Create the event NAME and collect for it at once, or from --start on.

    A post belongs to it if a keyword, an account or a box selects it and, where given, its language does. An event that
    begins at once hears the raw posts of the last hour too; a draft does when it is started.
    """
    with _invalid_is_refused(as_json=as_json):
        wanted = options.definition(name=name, note=_note, **fields)
        start = wanted.start or None
        begins = not draft and (start is None or start <= datetime.now(UTC))
        since = options.rematch_of_new(rematch, begins=begins, start=start, note=_note)
        command = new_command(
            "create",
            code_for(name, code),
            options.who(),
            why,
            definition=wanted,
            draft=draft,
            expected_rate=rate,
            rematch_since=since,
        )
        planned = decide(command, None)
    answer = _carry_out(command, as_json=as_json)
    told = f"created event {answer.code} (version {answer.version}, {planned.status})"
    _say(told + rematches.promise(answer.code, since), as_json=as_json)


@event.command()
@with_code
@click.option("--name", help="Another name; the code stays.")
@with_fields
@click.option("--add-keyword", "add", multiple=True, metavar="KEYWORD[,…]", help="Beside those that it has.")
@click.option("--remove-keyword", "remove", multiple=True, metavar="KEYWORD[,…]", help="Of those that it has.")
@click.option("--clear", multiple=True, type=click.Choice(options.CLEARABLE), help="Make a field empty.")
@with_version
@with_why
@with_json
def edit(
    *, code: str, add: Sequence[str], remove: Sequence[str], version: int | None, why: str, as_json: bool, **fields: Any
) -> None:
    """Change the event CODE; each list that is given replaces the whole list.

    Keywords that are added or removed refer to the version just read; if someone else changes the event meanwhile,
    the edit is refused.
    """
    with _invalid_is_refused(as_json=as_json):
        changed = options.definition(note=_note, **fields)
        if add or remove:
            if "keywords" in changed.given():
                raise ValueError(
                    "-k, --keywords-file and --clear replace all keywords: not with --add-keyword or --remove-keyword"
                )
            current = _find(code)
            keywords = options.with_keywords(current, add, remove)
            changed = Definition(**{**changed.given(), "keywords": keywords})  # type: ignore[arg-type]
            version = current.version if version is None else version
        if not changed.given():
            raise ValueError("nothing to edit: say what to change (`starling event edit --help`)")
        command = new_command("edit", code, options.who(), why, definition=changed, expected_version=version)
    answer = _carry_out(command, as_json=as_json)
    selects_more = add or any(fields[name] for name in ("keywords", "keywords_file", "accounts", "boxes"))
    offer = f"; `starling event rematch {code}` hears the past for what is new" if selects_more else ""
    _say(f"edited event {code} (version {answer.version}){offer}", as_json=as_json)


@event.command()
@with_code
@click.argument("name")
@click.option("--code", "other", help="The code of the new one; follows from the name otherwise.")
@with_why
@with_json
def clone(*, code: str, name: str, other: str | None, why: str, as_json: bool) -> None:
    """Make a draft called NAME that selects what CODE does; the posts of CODE stay its own."""
    with _invalid_is_refused(as_json=as_json):
        original = _find(code)
        selects = {field: getattr(original, field) for field in ("keywords", "accounts", "boxes", "languages")}
        wanted = Definition(name=name, **selects).checked()
        because = why or f"a clone of {code}"
        command = new_command("create", code_for(name, other), options.who(), because, definition=wanted, draft=True)
        decide(command, None)
    answer = _carry_out(command, as_json=as_json)
    _say(f"created event {answer.code} (version {answer.version}, draft)", as_json=as_json)


@event.command()
@with_code
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@with_version
@with_why
@with_json
def own(*, code: str, names: tuple[str, ...], version: int | None, why: str, as_json: bool) -> None:
    """Say who owns CODE, all of them: they may delete and purge it, and say who owns it."""
    with _invalid_is_refused(as_json=as_json):
        owners = Definition(owners=names).checked()
        command = new_command("edit", code, options.who(), why, definition=owners, expected_version=version)
    answer = _carry_out(command, as_json=as_json)
    _say(f"event {code} is owned by {', '.join(names)} (version {answer.version})", as_json=as_json)


def _add_change(action: Action, done: str, about: str) -> None:
    """A command that changes nothing but the status."""

    @event.command(action, help=about)
    @with_code
    @with_version
    @with_why
    @with_json
    def change(*, code: str, version: int | None, why: str, as_json: bool) -> None:
        command = new_command(action, code, options.who(), why, expected_version=version)
        answer = _carry_out(command, as_json=as_json)
        _say(f"{done} event {code} (version {answer.version})", as_json=as_json)


_add_change("pause", "paused", "Collect no more for CODE until `resume`.")
_add_change("resume", "resumed", "Collect for CODE again.")
_add_change("stop", "stopped", "End the collection for CODE.")
_add_change("archive", "archived", "Put CODE, which is over, aside for good.")


@event.command()
@with_code
@with_rematch
@with_version
@with_why
@with_json
def start(*, code: str, rematch: str | None, version: int | None, why: str, as_json: bool) -> None:
    """Collect for CODE: a draft, a scheduled or a stopped event.

    The first time it hears the raw posts of the last hour too.
    """
    with _invalid_is_refused(as_json=as_json):
        current = _find(code)
        begins = current.status in ("draft", "scheduled")
        since = options.rematch_of_new(rematch, begins=begins, start=current.start, note=_note)
        command = new_command("start", code, options.who(), why, expected_version=version, rematch_since=since)
    answer = _carry_out(command, as_json=as_json)
    _say(f"started event {code} (version {answer.version}){rematches.promise(code, since)}", as_json=as_json)


@event.command()
@with_code
@click.option("--since", default="1h", show_default=True, metavar="AGO|TIME", help="From when on: 2h (ago), or a time.")
@click.option("--source", type=click.Choice(PAST_SOURCES), help="Ask the source itself, not what is kept of it.")
@click.option("--follow/--no-follow", default=True, help="Wait for its end, or not.")
@with_version
@with_why
@with_json
def rematch(
    *, code: str, since: str, source: str | None, follow: bool, version: int | None, why: str, as_json: bool
) -> None:
    """Have CODE hear the past: match the raw posts that are kept since a moment once more.

    For keywords that are new. Rows that stand already stay as they are. With --source the tracker has a Jetstream
    replay what it still has (bluesky), or asks recent search, whose posts are paid for (x).
    """
    with _invalid_is_refused(as_json=as_json):
        at = options.parse_since(since, "--since", datetime.now(UTC), _note)
        if at is None:
            raise ValueError("--since none hears nothing")
        wished: dict[str, Any] = {"rematch_since": at, "rematch_source": source or ""}
        command = new_command("rematch", code, options.who(), why, expected_version=version, **wished)
    answer = _carry_out(command, as_json=as_json and not follow)
    if follow and source:
        rematches.watch_source(service(), Rematch(answer.version or 0, at, source), code, as_json=as_json)
    elif follow:
        rematches.watch(service(), code, answer.version or 0, as_json=as_json)
    else:
        _say(f"asked for (version {answer.version}){rematches.promise(code, at, source or '')}", as_json=as_json)


@event.command()
@with_code
@with_yes
@with_version
@with_why
@with_json
def delete(*, code: str, yes: bool, version: int | None, why: str, as_json: bool) -> None:
    """Delete the event CODE; the posts collected for it stay."""
    command = new_command("delete", code, options.who(), why, expected_version=version)
    if not yes:
        _confirm(command, "its posts stay", as_json=as_json)
    answer = _carry_out(command, as_json=as_json)
    _say(
        f"deleted event {code} (version {answer.version}); its rows stay and its code stays taken, "
        f"`starling event purge {code}` removes both",
        as_json=as_json,
    )


@event.command()
@with_code
@with_yes
@with_version
@with_why
@with_json
def purge(*, code: str, yes: bool, version: int | None, why: str, as_json: bool) -> None:
    """Remove the event CODE and every post collected for it, for good."""
    command = new_command("purge", code, options.who(), why, expected_version=version)
    if not yes:
        _confirm(command, "EVERY post collected for it goes, for good", as_json=as_json)
    else:
        _check(command, as_json=as_json)
    if not sys.stderr.isatty():
        click.echo(f"removing the rows of {code}; this takes a while", err=True)
    _carry_out(command, as_json=as_json, wait=f"removing the rows of {code}")
    _say(f"purged event {code}: its rows are removed, its code is free", as_json=as_json)


@event.command()
@with_why
@with_json
def refresh(*, why: str, as_json: bool) -> None:
    """Have the manager send every event again, for readers of `events` that missed some."""
    with waiting("waiting for the manager"):
        count = asyncio.run(service().refresh(why))
    if as_json:
        print_json({"events": count})
    _say(f"sent {count} event{'' if count == 1 else 's'} again", as_json=as_json)


@event.command("list")
@click.option("--status", type=click.Choice(get_args(Status)), help="Only events of this status.")
@click.option("--all", "everything", is_flag=True, help="Deleted events too.")
@with_watch
@with_json
def list_events(*, status: str | None, everything: bool, watch: bool, every: float, as_json: bool) -> None:
    """List the events."""
    shown(lambda: _list(status, everything=everything, as_json=as_json), watch=watch, every=every)


def _list(status: str | None, *, everything: bool, as_json: bool) -> None:
    hidden = () if everything or status else ("deleted",)
    events = sorted(asyncio.run(service().events()).values(), key=lambda event: event.code)
    listed = [event for event in events if event.status not in hidden and status in (None, event.status)]
    if as_json:
        print_json([views.without_history(event) for event in listed])
    elif listed:
        views.print_events(listed)
    else:
        click.echo("no events" + (f" ({len(events)} deleted: --all)" if events and not status else ""))


@event.command()
@with_code
@click.option("--all", "everything", is_flag=True, help="All of a long list.")
@with_watch
@with_json
def show(*, code: str, everything: bool, watch: bool, every: float, as_json: bool) -> None:
    """Show the event CODE."""
    shown(lambda: _show(code, everything=everything, as_json=as_json), watch=watch, every=every)


def _show(code: str, *, everything: bool, as_json: bool) -> None:
    found, progress, asked, refused = asyncio.run(_whole(service(), code))
    if as_json:
        print_json(msgspec.to_builtins(found) | {"rematch": progress, "heard": asked, "refused": refused})
    else:
        told = [f"{source} is not asked for {why}" for source, reasons in refused.items() for why in reasons]
        views.print_event(found, rematches.lines(found, progress, asked), told, everything=everything)


@event.command()
@with_code
@click.option("--at", metavar="AGO|TIME", help="How it stood then: 2h (ago), or a time.")
@with_json
def history(*, code: str, at: str | None, as_json: bool) -> None:
    """Show who changed the event CODE, when, why, from what to what; or what it looked for at a moment."""
    with _invalid_is_refused(as_json=as_json):
        moment = options.past_time(at, "--at")
    found = _find(code)
    if moment is not None:
        then = tracked_at(found, moment)
        if then is None:
            raise UserError(f"event {code!r} did not exist then")
        if as_json:
            print_json(then)
        else:
            views.print_then(then)
    elif as_json:
        print_json(found.history)
    else:
        views.print_history(found.history)


def _find(code: str) -> Event:
    """The event as it stands, be it deleted. Raises UserError."""
    return asyncio.run(service().event(code))


async def _whole(asked: Service, code: str) -> tuple[Event, Progress | None, list[Heard], dict[str, tuple[str, ...]]]:
    """An event, how far its rematches are, and by source what of it is not asked for. Raises UserError."""
    found = await asked.event(code)
    progress = await rematches.progress_of(asked, found)
    refused = {one.source: one.refused[code] for one in await asked.statuses() if code in one.refused}
    return found, progress, await rematches.heard_from(asked, found), refused


def _carry_out(command: Command, *, as_json: bool, wait: str = "waiting for the manager") -> Answer:
    """Have the manager decide. Raises UserError where it refuses."""
    try:
        with waiting(wait):
            answer = asyncio.run(service().ask(command))
    except KeyboardInterrupt:
        click.echo(f"starling: not waiting any longer; the command (id {command.id}) may be carried out", err=True)
        raise
    if as_json:
        print_json(answer)
    if not answer.accepted:
        both = views.both_versions(command.definition, _find(command.code)) if answer.reason == "version" else ""
        raise UserError(safe(answer.message + both))
    return answer


@contextmanager
def _invalid_is_refused(*, as_json: bool) -> Iterator[None]:
    """Refuse here, in the manager's form, what it would refuse anyway."""
    try:
        yield
    except (ValueError, Refused) as wrong:
        if as_json:
            print_json({"accepted": False, "reason": "invalid", "message": str(wrong)})
        raise UserError(safe(str(wrong))) from None


def _check(command: Command, *, as_json: bool) -> Event:
    """The event that the command is about. Raises UserError where the manager would refuse."""
    current = _find(command.code)
    try:
        decide(command, current)
    except Refused as refused:
        if as_json:
            print_json({"accepted": False, "reason": refused.reason, "message": str(refused)})
        raise UserError(safe(str(refused))) from None
    return current


def _confirm(command: Command, what: str, *, as_json: bool) -> None:
    current = _check(command, as_json=as_json)
    click.echo(f"{command.action} event {current.code} ({safe(current.name)}, {current.status}): {what}.", err=True)
    if sys.stdin.isatty():
        typed = click.prompt("Type its code to confirm", err=True, default="", show_default=False)
    else:
        typed = sys.stdin.readline()
    if typed.strip() != command.code:
        raise UserError(f"not confirmed, nothing was done{'' if sys.stdin.isatty() else ' (--yes does not ask)'}")


def _note(text: str) -> None:
    click.echo(text, err=True)


def _say(text: str, *, as_json: bool) -> None:
    if not as_json:
        click.echo(text)
