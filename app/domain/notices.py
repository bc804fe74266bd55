"""What is told to people of what happens, as it stands in topic `notices`: who was to hear of it, and whether they did.

A `Notice` says what happened, once, or that something has begun and is over. A `Message` is some notices on their way
to one receiver, written down before it is sent, so that one sent again after a kill has the same id and the same
content. A `Receiver` says how a receiver does. `Began` is when notices were first made here. A `Mute` (topic `mutes`)
keeps some from being sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from app.domain.moments import in_utc

Kind: TypeAlias = Literal["started", "stopped", "gap", "refused", "dead-letters", "budget", "test"]
Phase: TypeAlias = Literal["once", "begun", "over"]
Outcome: TypeAlias = Literal["waiting", "told", "given up"]
_Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
# What a person can mute.
KINDS: tuple[Kind, ...] = tuple(kind for kind in get_args(Kind) if kind != "test")
MOST_EVENTS = 50  # whose codes a notice names
BEGAN = "began"
MAX_WHY = 500

DAY_MS = 86_400_000
# What a month's budget was told of must be known to the month's end.
KEPT_MS = 40 * DAY_MS
MOST_KEPT = 2000  # of those that are older than two days
_YOUNG_MS = 2 * DAY_MS


class Notice(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="notice"):
    """Something that people are told. Times are milliseconds since 1970."""

    id: str  # follows from what happened: told twice, it is recognizable
    kind: Kind
    phase: Phase = "once"
    at: int  # when it was noticed
    since: int  # when it happened, or began
    title: str  # one line
    text: str = ""  # what else there is to say
    source: str = ""
    events: tuple[str, ...] = ()  # codes; the first MOST_EVENTS
    condition: str = ""  # what lasts, where something does
    over: int | None = None  # when that was over; None while it lasts
    due: tuple[str, ...] = ()  # receivers that are to be told
    muted: str = ""  # id of the mute that kept it from them

    @property
    def key(self) -> str:
        """Key of its record in `notices`."""
        return self.id

    @property
    def stands(self) -> bool:
        """Whether what it says has begun is not over."""
        return self.phase == "begun" and self.over is None


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="message"):
    """Notices that go to a receiver together."""

    id: str
    receiver: str
    at: int
    notices: tuple[str, ...]
    outcome: Outcome = "waiting"
    ended: int | None = None  # when it was told, or given up
    why: str = ""  # it was given up

    @property
    def key(self) -> str:
        """Key of its record in `notices`."""
        return f"message|{self.id}"


class Receiver(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="receiver"):
    """How a receiver does, as the process that notifies sees it."""

    name: str
    place: str  # its host; the rest of an address may be secret
    ok: bool
    words: str
    since: int  # since when it is so
    at: int

    @property
    def key(self) -> str:
        """Key of its record in `notices`."""
        return f"receiver|{self.name}"


class Began(Struct, frozen=True, kw_only=True, tag="began"):
    """When the first process that notifies was started here: what happened before is nobody's news."""

    at: int

    @property
    def key(self) -> str:
        """Key of its record in `notices`."""
        return BEGAN


Entry: TypeAlias = Notice | Message | Receiver | Began
_decode = msgspec.json.Decoder(Entry).decode


def entry(value: bytes) -> Entry:
    """An entry of `notices`. Raises msgspec.DecodeError."""
    decoded: Entry = _decode(value)
    return decoded


class Mute(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person's wish not to be told: of an event, of a kind, or of anything; for ever or until a moment."""

    id: str
    at: _Moment
    who: str
    event: str = ""  # code; "": whatever the event
    kind: Kind | Literal[""] = ""  # "": whatever the kind
    until: _Moment | None = None
    why: str = ""

    def covers(self, kind: Kind, events: Iterable[str], now: datetime) -> bool:
        """Whether a notice of that kind about these events is not to be sent now."""
        if self.over(now) or self.kind not in ("", kind):
            return False
        # What concerns other events too is told: only where all that it is about is muted, it is not.
        return not self.event or set(events) == {self.event}

    def over(self, now: datetime) -> bool:
        """Whether its time has passed."""
        return self.until is not None and self.until <= now


decode_mute = msgspec.json.Decoder(Mute).decode


def check_mute(mute: Mute) -> Mute:
    """The mute. Raises ValueError, in words for its maker."""
    if mute.until is not None:
        mute = replace(mute, until=in_utc(mute.until))
    if mute.over(mute.at):
        raise ValueError("the mute would be over before it begins")
    if len(mute.why) > MAX_WHY:
        raise ValueError(f"the reason has {len(mute.why)} characters; at most {MAX_WHY}")
    return mute


def notices_of(entries: Iterable[Entry]) -> list[Notice]:
    """The notices among entries, the newest first."""
    return sorted((one for one in entries if isinstance(one, Notice)), key=lambda one: (-one.at, one.id))


def messages_of(entries: Iterable[Entry], receiver: str | None = None) -> list[Message]:
    """The messages among entries; of one receiver, where it is given."""
    return [one for one in entries if isinstance(one, Message) and receiver in (None, one.receiver)]


def receivers_of(entries: Iterable[Entry]) -> list[Receiver]:
    """How the receivers do, by name."""
    return sorted((one for one in entries if isinstance(one, Receiver)), key=lambda one: one.name)


def outcomes(entries: Iterable[Entry]) -> dict[str, dict[str, Outcome]]:
    """What became of each notice at each receiver that a message of it was made for."""
    found: dict[str, dict[str, Outcome]] = {}
    for message in messages_of(entries):
        for notice in message.notices:
            found.setdefault(notice, {})[message.receiver] = message.outcome
    return found


def to_forget(items: Mapping[str, Entry], now: int) -> list[str]:
    """Keys of what need not be known any longer: old notices, and the messages of which none is left."""
    known = notices_of(items.values())
    old = [
        notice
        for number, notice in enumerate(known)
        if not notice.stands
        and (
            notice.at < now - KEPT_MS
            or (number >= MOST_KEPT and notice.at < now - _YOUNG_MS and notice.kind != "budget")
        )
    ]
    left = {notice.id for notice in known} - {notice.id for notice in old}
    # A message is written after its notices and in the same partition: none of a younger one is missing here.
    spent = [one.key for one in messages_of(items.values()) if not left.intersection(one.notices)]
    return [notice.key for notice in old] + spent
