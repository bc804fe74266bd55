"""Changes of events, as the API and the pages ask for them."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from app.clients.event_commands import new_command
from app.domain.decisions import Action, code_for
from app.domain.events import Box, Definition, Event, Policy
from app.domain.rematch import unasked_since
from app.web.owning import check_owners
from app.web.problems import Failed
from app.web.routes import Asked


class New(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event to be created. Who creates it owns it, unless owners are named."""

    name: str
    code: str = ""  # follows from the name, where that has Latin letters or digits
    keywords: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    languages: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    deletions: Policy = "drop"
    hot: bool = False
    owners: tuple[str, ...] | UnsetType = UNSET
    draft: bool = False
    rate: float | None = None  # posts a second that are expected
    rematch_since: datetime | UnsetType | None = UNSET  # null: hear nothing of the past; the last hour otherwise
    why: str = ""


class Edited(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed; what is not there stays."""

    name: str | UnsetType = UNSET
    keywords: tuple[str, ...] | UnsetType = UNSET
    accounts: tuple[str, ...] | UnsetType = UNSET
    boxes: tuple[Box, ...] | UnsetType = UNSET
    languages: tuple[str, ...] | UnsetType = UNSET
    start: datetime | UnsetType | None = UNSET
    end: datetime | UnsetType | None = UNSET
    deletions: Policy | UnsetType = UNSET
    hot: bool | UnsetType = UNSET
    why: str = ""


class Started(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it is to start."""

    rematch_since: datetime | UnsetType | None = UNSET  # null: hear nothing of the past; else, at first, the last hour
    why: str = ""


class Cloned(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The draft that is made of an event."""

    name: str
    code: str = ""
    why: str = ""


async def create(asked: Asked, new: New) -> Event:
    """Raises Failed, Unavailable."""
    now = datetime.now(UTC)
    begins = not new.draft and (new.start is None or new.start <= now)
    since = new.rematch_since
    if since is UNSET:
        since = unasked_since(now, new.start) if begins else None
    given = {name: value for name in Definition.__struct_fields__ if (value := getattr(new, name)) != ()}
    return await _create(asked, new, Definition(**given), new.draft, new.rate, since)


async def clone(asked: Asked, new: Cloned) -> Event:
    """A draft that selects what the event of the path does. Raises Failed, Unavailable."""
    event = asked.event
    definition = Definition(
        name=new.name,
        keywords=event.keywords,
        accounts=event.accounts,
        boxes=event.boxes,
        languages=event.languages,
        deletions=event.deletions,
    )
    new = replace(new, why=new.why or f"a clone of {event.code}")
    return await _create(asked, new, definition, True, None, None)


async def _create(
    asked: Asked, new: New | Cloned, definition: Definition, draft: bool, rate: float | None, since: datetime | None
) -> Event:
    try:
        code = code_for(new.name, new.code.strip())
    except ValueError as wrong:
        raise Failed(422, str(wrong), reason="invalid") from None
    if asked.target:
        asked.detail["of"] = asked.target
    asked.target = code
    asked.detail["name"] = new.name[:200]
    if definition.owners is not UNSET:
        check_owners(asked.desk, definition.owners)
    return await asked.desk.decide(
        asked.caller,
        "create",
        code,
        new.why,
        definition=definition,
        draft=draft,
        expected_rate=rate,
        rematch_since=since,
    )


async def edit(asked: Asked, new: Edited, version: int | None) -> Event:
    """Raises Failed, Unavailable."""
    given = {name: getattr(new, name) for name in new.__struct_fields__ if name != "why"}
    return await _edited(asked, Definition(**given), new.why, version)


async def own(asked: Asked, owners: tuple[str, ...], why: str, version: int | None) -> Event:
    """Say who owns the event. Raises Failed, Unavailable."""
    check_owners(asked.desk, owners, asked.event.owners)
    return await _edited(asked, Definition(owners=owners), why, version)


async def _edited(asked: Asked, definition: Definition, why: str, version: int | None) -> Event:
    asked.detail["fields"] = sorted(definition.given())
    return _noted(
        asked,
        await asked.desk.decide(
            asked.caller, "edit", asked.event.code, why, definition=definition, expected_version=version
        ),
    )


async def start(asked: Asked, how: Started, version: int | None) -> Event:
    """Raises Failed, Unavailable."""
    event, now, since = asked.event, datetime.now(UTC), how.rematch_since
    if since is UNSET:
        since = unasked_since(now, event.start) if event.status in ("draft", "scheduled") else None
    return await act(asked, "start", how.why, version, since)


async def act(
    asked: Asked, action: Action, why: str, version: int | None, since: datetime | None = None, source: str = ""
) -> Event:
    """Change the state of the event of the path, or have it hear the past. Raises Failed, Unavailable."""
    code = asked.event.code
    rest = {"expected_version": version, "rematch_since": since, "rematch_source": source}
    return _noted(asked, await asked.desk.decide(asked.caller, action, code, why, **rest))


async def purge(asked: Asked, why: str, version: int | None) -> bool:
    """Remove the event and its posts; whether that is done already. Raises Failed, Unavailable."""
    event = asked.event
    command = new_command("purge", event.code, asked.caller.name, why, expected_version=version)
    await asked.desk.carry_out(command)
    return event.code not in asked.desk.views.events.view.items


def _noted(asked: Asked, event: Event) -> Event:
    asked.detail["version"] = event.version
    return event


def confirm(asked: Asked, typed: str) -> None:
    """Raise Failed unless the code of the event was typed."""
    code = asked.event.code
    if typed.strip() != code:
        raise Failed(422, f"type the code {code} to confirm", reason="invalid")
