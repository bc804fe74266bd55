"""What people write to stored posts: tags and a note; to one, or to all that a search finds."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from app.domain.searching import Search, check_tag

MAX_NOTE = 5000  # characters
MAX_CHANGED = 20  # tags, at once
MAX_POSTS = 10_000  # of one search, at once

State: TypeAlias = Literal["running", "done", "failed"]


class Annotation(Struct, frozen=True, kw_only=True):
    """What stands at a post."""

    tags: tuple[str, ...] = ()
    note: str = ""
    changed_by: str = ""
    changed_at: datetime | None = None


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is to be written. Writing it twice is writing it once."""

    add: tuple[str, ...] = ()  # tags
    remove: tuple[str, ...] = ()
    note: str | UnsetType = UNSET  # UNSET: the note stays; "" removes it

    def checked(self) -> Change:
        """The change in its canonical form. Raises ValueError, in words for its writer."""
        add, remove = (tuple(sorted({check_tag(tag) for tag in tags})) for tags in (self.add, self.remove))
        if both := set(add) & set(remove):
            raise ValueError(f"tag {min(both)!r} cannot be both added and removed")
        if len(add) + len(remove) > MAX_CHANGED:
            raise ValueError(f"{len(add) + len(remove)} tags at once; at most {MAX_CHANGED}")
        note = self.note if self.note is UNSET else self.note.replace("\r\n", "\n").strip()
        if note is not UNSET and len(note) > MAX_NOTE:
            raise ValueError(f"a note of {len(note)} characters; at most {MAX_NOTE}")
        if not add and not remove and note is UNSET:
            raise ValueError("nothing is to be changed: give tags to add or remove, or a note")
        return Change(add=add, remove=remove, note=note)


class Order(Struct, frozen=True, kw_only=True):
    """A change of all posts that a search finds."""

    search: Search
    change: Change
    most: int = MAX_POSTS  # the newest ones


class Job(Struct, frozen=True, kw_only=True):
    """How far an order is."""

    id: str
    code: str
    who: str
    order: Order
    state: State = "running"
    why: str = ""  # it failed
    posts: int = 0  # that are changed
    at: datetime  # of the last news

    def silent(self, now: datetime) -> bool:
        """Whether its process is gone; to give the order again changes nothing twice."""
        return self.state == "running" and (now - self.at).total_seconds() > SILENT_SECONDS


SILENT_SECONDS = 60.0
