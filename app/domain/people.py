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
    epoch: int = 0  # of the tokens that count; those of an earlier one were revoked


class Caller(Struct, frozen=True, kw_only=True):
    """Who asks, and how that is known."""

    name: str
    rank: Rank
    by: Literal["token", "session", "oidc", "open"]  # open: nobody is asked who they are
    session: str = ""  # id of the session, where there is one

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
