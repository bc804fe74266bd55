"""Who works with Starling, and what each may do.

A *viewer* looks; an *editor* creates events and changes them; an *owner* is named by an event, and may also delete and
purge it and name other owners; an *admin* may do everything.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias, get_args

from msgspec import Struct
from msgspec.structs import replace

Rank: TypeAlias = Literal["viewer", "editor", "admin"]
RANKS: tuple[Rank, ...] = get_args(Rank)
_REMEMBERED = 8  # changes, of which others may have been made before it is looked whether one counts
_NAME = re.compile(r"[\w][\w.@+-]{0,99}")
_FOREIGN = re.compile(r"oidc:[^\s:][^\s]{0,199}")


class Right(StrEnum):
    """What a request needs."""

    NONE = "none"  # not even a person
    VIEW = "view"
    CREATE = "create"
    CHANGE = "change"  # of the event that is asked about
    OWN = "own"  # of that event too: what cannot be taken back, and who owns it
    ADMIN = "admin"


class Person(Struct, frozen=True, kw_only=True):
    """A person as it stands in the topic `people`; its key is the name."""

    name: str
    rank: Rank
    added: datetime
    by: str
    epoch: int = 0  # of the tokens that count; a provider's count that it has issued later than this (s since 1970)
    here: Literal["", "ranked", "removed"] = ""  # removed; or ranked: of one whom a provider vouches for, counts more
    changes: tuple[str, ...] = ()  # marks of the last few, the newest last


class Caller(Struct, frozen=True, kw_only=True):
    """Who asks, and how that is known."""

    name: str
    rank: Rank
    by: Literal["token", "session", "oidc", "open"]  # open: nobody is asked who they are
    session: str = ""  # id of the session, where there is one
    epoch: int = 0  # of the person, as they were let in
    until: int | None = None  # seconds since 1970: when a provider's token that lets them in expires

    def may(self, right: Right, owners: tuple[str, ...] = ()) -> bool:
        """Whether this person may do what needs the right, to an event with these owners where it is about one."""
        if self.rank == "admin" or right in (Right.NONE, Right.VIEW):
            return True
        if right is Right.CREATE:
            return self.rank == "editor"
        if right is Right.CHANGE:
            return self.rank == "editor" or self.name in owners
        return right is Right.OWN and self.name in owners


def newcomer(name: str, rank: Rank, by: str, now: datetime) -> Person:
    """A person who begins now: no token counts of somebody who had the name before."""
    return Person(name=name, rank=rank, added=now, by=by, epoch=int(now.timestamp()))


def revoked(person: Person, now: datetime) -> Person:
    """The person, and no token counts that they have had until now."""
    return replace(person, epoch=max(person.epoch + 1, int(now.timestamp())))


def ranked(known: Person | None, name: str, rank: Rank, by: str, now: datetime) -> Person:
    """The person, who may be new, with a role that is given here. Raises ValueError where that is no name."""
    if known is None or (known.here == "removed" and ":" not in name):
        new = newcomer(check_name(name), rank, by, now)
        person = replace(new, epoch=max(new.epoch, known.epoch)) if known else new
    else:
        person = replace(known, rank=rank)
    return replace(person, here="ranked") if ":" in person.name else person


def to_end(known: Person | None, name: str, by: str, now: datetime) -> Person | None:
    """Somebody whose tokens are to end: whom a provider vouches for may be here who never signed in."""
    return newcomer(name, "viewer", by, now) if known is None and ":" in name and is_name(name) else known


def removed(person: Person, now: datetime) -> Person:
    """What is left of the person: that they may not, be it that a provider vouches for them again.

    A tombstone would not do: a change that was made before it was known would bring them back.
    """
    return replace(revoked(person, now), here="removed")


def changed(known: Person | None, person: Person, mark: str) -> Person:
    """The person as they are written: by a change with this mark, made of who was known."""
    return replace(person, changes=(*(known.changes if known else ()), mark)[-_REMEMBERED:])


def follows(later: Person, standing: Person) -> bool:
    """Whether the later one stands from now on.

    Of two that were made of the same one, the first in the topic stands for everybody; the other is passed over, and
    its writer, who sees that its mark is missing, makes it anew. Should that one die in this moment, what was passed
    over is the last word, which compaction keeps. Who begins to read with it does not know what later ones were made
    of: these were made of what stood for everybody else, so they count.
    """
    if not later.changes or not standing.changes:
        return True
    *_, parent = (None, *later.changes[:-1])
    return parent == standing.changes[-1] or (parent is not None and parent not in standing.changes)


def vouched(known: Person | None, name: str, rank: Rank, issued: int, now: datetime) -> Person:
    """Whom a provider's token names, issued then (seconds since 1970). Raises ValueError where it counts no more."""
    if known is None:
        return replace(newcomer(name, rank, "oidc", now), epoch=issued - 1)
    if known.here == "removed":
        raise ValueError("its bearer was removed here")
    if issued <= known.epoch:
        raise ValueError("the token was revoked")
    return known if known.here == "ranked" else replace(known, rank=rank)


def is_name(text: str) -> bool:
    """Whether this can be somebody's name: one of ours, or `oidc:` and what an identity provider calls them."""
    return bool(_NAME.fullmatch(text) or _FOREIGN.fullmatch(text))


def check_name(text: str) -> str:
    """The name. Raises ValueError."""
    name = text.strip()
    if not is_name(name):
        raise ValueError(f"{name[:40]!r} is no name of a person: letters, digits and . _ - @ + (at most 100)")
    return name


def check_own_name(text: str) -> str:
    """A name that Starling itself may give; those with a colon are of identity providers. Raises ValueError."""
    name = check_name(text)
    if ":" in name:
        raise ValueError(f"{name[:40]!r} is a name of an identity provider's")
    return name


def foreign_name(subject: str) -> str:
    """The name of somebody whom an identity provider knows: never one of ours. Raises ValueError."""
    return check_name(f"oidc:{subject}")
