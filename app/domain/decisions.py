"""What becomes of an event when a command arrives: the one place that decides, without any I/O.

| action | from | to |
|---|---|---|
| create | nothing | draft if asked; else scheduled if its start lies ahead; else active |
| edit | any but deleted | the same |
| start | draft, scheduled, stopped | active |
| pause / resume | active / paused | paused / active |
| stop | active, paused, scheduled | stopped |
| archive | draft, stopped | archived |
| delete | any but active | deleted: its rows stay, its code stays taken |
| purge | any but active | purging, then gone with its rows |
| reshard | any but deleted | the same, laid out anew for posts yet to come |
| rematch | active, paused, stopped | the same, and it hears what was said since a moment |

`create` and `start` may ask for a rematch too, where the event is active then. A rematch from a source itself is for an
active event alone: what comes is classified as what is heard live.

`refresh` changes no event and is not decided here.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from app.domain.codes import check_code, code_of
from app.domain.events import Change, Definition, Event, Rematch, Status, check_selects
from app.domain.partitioning import EXPECTED_RATE, LENGTHS, BucketRule, rule_for
from app.domain.people import is_name
from app.domain.rematch import PAST_SOURCES

Action: TypeAlias = Literal[
    "create", "edit", "start", "pause", "resume", "stop", "archive", "delete", "purge", "refresh", "reshard", "rematch"
]
Reason: TypeAlias = Literal["exists", "unknown", "state", "version", "invalid", "late"]

_FROM: dict[str, tuple[Status, ...]] = {
    "edit": ("draft", "scheduled", "active", "paused", "stopped", "archived"),
    "start": ("draft", "scheduled", "stopped"),
    "pause": ("active",),
    "resume": ("paused",),
    "stop": ("active", "paused", "scheduled"),
    "archive": ("draft", "stopped"),
    "delete": ("draft", "scheduled", "paused", "stopped", "archived"),
    "purge": ("draft", "scheduled", "paused", "stopped", "archived", "deleted", "purging"),
    "reshard": ("draft", "scheduled", "active", "paused", "stopped", "archived"),
    "rematch": ("active", "paused", "stopped"),
}
_TO: dict[str, Status] = {
    "start": "active",
    "pause": "paused",
    "resume": "active",
    "stop": "stopped",
    "archive": "archived",
    "delete": "deleted",
    "purge": "purging",
}
MAX_RATE = 100_000.0  # posts a second; more than all of X ever had
MAX_SHARDS = 10_000
MAX_WHY = 2000
MAX_BACK = timedelta(days=366)  # of a rematch; what is kept reaches back much less
MAX_REMATCHES = 8  # wishes that an event remembers of each source, and of what is kept
# Half of what a record may hold: an event that many edits of many keywords have blown up must still be sent.
MAX_BYTES = 4 * 1024 * 1024


class Command(Struct, frozen=True, kw_only=True):
    """A person's (or the manager's own) wish, as it stands in `event_commands`."""

    id: str
    action: Action
    code: str
    at: datetime
    who: str
    why: str = ""
    expected_version: int | None = None
    definition: Definition = Definition()
    draft: bool = False
    expected_rate: float | None = None  # posts a second, for create
    rule: BucketRule | None = None  # for reshard
    rematch_since: datetime | None = None  # for rematch; also with create and start
    rematch_source: str = ""  # for rematch: see `events.Rematch`
    expires: datetime | None = None  # whoever has sent it waits no longer, and has been told that it failed

    def late(self, now: datetime) -> bool:
        """Whether it comes too late to be carried out."""
        return self.expires is not None and now >= self.expires


class Answer(Struct, frozen=True, kw_only=True):
    """What became of a command, as it stands in `event_results`."""

    id: str
    code: str
    accepted: bool
    version: int | None = None
    reason: Reason | None = None
    message: str = ""


def goes(action: Action, status: Status) -> bool:
    """Whether an event of this status can be told to do that."""
    return status in _FROM.get(action, ())


class Refused(Exception):
    """The command cannot be carried out; `reason` for programs, the message for people."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


def decide(command: Command, current: Event | None, last_version: int = 0) -> Event:
    """The event after the command. `last_version` is the last one of a purged event with the same code.

    Raises Refused.
    """
    if command.at.tzinfo is None:
        raise Refused("invalid", f"the command's time {command.at.isoformat()} has no time zone")
    if len(command.why) > MAX_WHY:
        raise Refused("invalid", f"the reason has {len(command.why)} characters; at most {MAX_WHY}")
    if command.action == "create":
        return _create(command, current, last_version)
    if current is None or (current.status == "deleted" and command.action != "purge"):
        raise Refused("unknown", f"there is no event {command.code!r}")
    if command.expected_version not in (None, current.version):
        raise Refused(
            "version", f"event {command.code!r} is at version {current.version}, not {command.expected_version}"
        )
    if command.action == "refresh":
        raise Refused("invalid", "a refresh changes no event")
    if current.status not in _FROM[command.action]:
        hint = "; stop it first" if current.status == "active" and command.action in ("delete", "purge") else ""
        cannot = f"it cannot be {_PAST[command.action]}{hint}"
        raise Refused("state", f"event {command.code!r} is {current.status}: {cannot}")
    if command.action == "edit":
        return _edit(command, current)
    if command.action == "reshard":
        return _reshard(command, current)
    changes: dict[str, object] = {"status": _TO[command.action]} if command.action in _TO else {}
    if command.action in ("rematch", "start"):
        changes |= _rematch(command, current)
    return _change(command, current, changes)


_PAST = {
    "edit": "edited",
    "start": "started",
    "pause": "paused",
    "resume": "resumed",
    "stop": "stopped",
    "archive": "archived",
    "delete": "deleted",
    "purge": "purged",
    "reshard": "laid out anew",
    "rematch": "rematched",
}


def _create(command: Command, current: Event | None, last_version: int) -> Event:
    if current is not None:
        hint = "; it was deleted, `purge` frees the code" if current.status == "deleted" else ""
        raise Refused("exists", f"event {command.code!r} exists{hint}")
    try:
        event = _defined(command)
        check_selects(event)
    except ValueError as invalid:
        raise Refused("invalid", str(invalid)) from None
    if event.end is not None and event.end <= command.at:
        raise Refused("invalid", "the end is past")
    rate = EXPECTED_RATE if command.expected_rate is None else command.expected_rate
    if not 0 < rate <= MAX_RATE:
        raise Refused("invalid", f"{rate:g} posts a second is not above 0 and at most {MAX_RATE:g}")
    ahead = event.start is not None and event.start > command.at
    status: Status = "draft" if command.draft else "scheduled" if ahead else "active"
    if command.rematch_since is not None and status != "active":
        raise Refused("invalid", f"a {status} event hears nothing yet: ask for the past when it starts")
    version = last_version + 1
    event = msgspec.structs.replace(event, status=status, version=version, buckets=(rule_for(rate),))
    change = Change(
        version=version,
        at=command.at,
        who=command.who,
        why=command.why,
        action="create",
        changed=_told(command),
        command=command.id,
    )
    return msgspec.structs.replace(event, **_wished(command, event, version), history=(change,))


def _defined(command: Command) -> Event:
    definition = command.definition.checked()
    if definition.owners is msgspec.UNSET and is_name(command.who):
        definition = msgspec.structs.replace(definition, owners=(command.who,))
    if definition.name is msgspec.UNSET:
        raise ValueError("an event needs a name")
    return Event(code=check_code(command.code), **definition.given())  # type: ignore[arg-type]


def _edit(command: Command, current: Event) -> Event:
    try:
        given = command.definition.checked().given()
        changes = {field: value for field, value in given.items() if value != getattr(current, field)}
        check_selects(msgspec.structs.replace(current, **changes))
    except ValueError as invalid:
        raise Refused("invalid", str(invalid)) from None
    if not changes:
        raise Refused("invalid", "the edit changes nothing")
    return _change(command, current, changes)


def _reshard(command: Command, current: Event) -> Event:
    rule = command.rule
    if rule is None or rule.seconds not in LENGTHS or not 0 < rule.shards <= MAX_SHARDS:
        raise Refused("invalid", f"not a bucket rule: {rule}")
    if current.buckets and rule.since <= current.buckets[-1].since:
        raise Refused("invalid", "a bucket rule must begin after the last one")
    if rule.since <= command.at.timestamp() * 1000:
        raise Refused("invalid", "a bucket rule must begin after now: posts that are stored keep their bucket")
    return _change(command, current, {"buckets": (*current.buckets, rule)})


def _rematch(command: Command, current: Event) -> dict[str, object]:
    if command.rematch_since is None and command.action == "rematch":
        raise Refused("invalid", "a rematch needs a moment from which on to hear")
    return _wished(command, current, current.version + 1)


def _wished(command: Command, current: Event, version: int) -> dict[str, object]:
    """The change of the event by which it hears the past; nothing where the command does not ask. Raises Refused."""
    since = command.rematch_since
    if since is None:
        return {}
    if since.tzinfo is None:
        raise Refused("invalid", f"time {since.isoformat()} has no time zone")
    if not timedelta(0) < command.at - since <= MAX_BACK:
        raise Refused("invalid", f"a rematch hears the past: since a moment gone by, at most {MAX_BACK.days} days ago")
    source = command.rematch_source
    if source:
        _check_source(source, command, current)
    others = [wish for wish in current.rematches if wish.source != source]
    wishes = [*(wish for wish in current.rematches if wish.source == source), Rematch(version, since, source)]
    if len(wishes) > MAX_REMATCHES:
        # The oldest may not have been heeded yet: the one after it, which will be, asks for both.
        first, second, *rest = wishes
        wishes = [Rematch(second.version, min(first.since, second.since), source), *rest]
    return {"rematches": tuple(sorted([*others, *wishes], key=lambda wish: wish.version))}


def _check_source(source: str, command: Command, current: Event) -> None:
    if source not in PAST_SOURCES:
        raise Refused("invalid", f"{source!r} cannot be asked for the past; {' and '.join(PAST_SOURCES)} can")
    if command.action != "rematch":
        raise Refused("invalid", f"a {command.action} hears what is kept; ask {source} by a rematch afterwards")
    if current.status != "active":
        raise Refused("state", f"event {current.code!r} is {current.status}: {source} is asked for active events alone")


def _told(command: Command) -> dict[str, tuple[object, object]]:
    """What the history says of a rematch."""
    since = command.rematch_since
    if since is None:
        return {}
    source: dict[str, tuple[object, object]] = {"source": (None, command.rematch_source)}
    return {"rematch": (None, msgspec.to_builtins(since))} | (source if command.rematch_source else {})


def _change(command: Command, current: Event, changes: dict[str, object]) -> Event:
    version = current.version + 1
    changed = {
        field: (getattr(current, field), value)
        for field, value in changes.items()
        if field not in ("buckets", "rematches")
    }
    change = Change(
        version=version,
        at=command.at,
        who=command.who,
        why=command.why,
        action=command.action,
        changed=msgspec.to_builtins(changed) | (_told(command) if "rematches" in changes else {}),
        command=command.id,
    )
    event = msgspec.structs.replace(current, **changes, version=version, history=(*current.history, change))
    return _sendable(event)


def _sendable(event: Event) -> Event:
    """The event, without the from-to of its oldest changes where it would be too large for one record."""
    excess = len(msgspec.json.encode(event)) - MAX_BYTES
    history = list(event.history)
    for at, change in enumerate(history):
        if excess <= 0:
            break
        excess -= len(msgspec.json.encode(change.changed))
        history[at] = msgspec.structs.replace(change, changed={})
    return msgspec.structs.replace(event, history=tuple(history))


def code_for(name: str, code: str | None) -> str:
    """The code given, checked, or the one that follows from the name. Raises ValueError."""
    return check_code(code) if code else code_of(name)
