"""Names of owners: a name is all that an event has of them, so that nobody may come by an event with a name."""

from __future__ import annotations

from collections.abc import Iterable

from app.web.desk import Desk
from app.web.problems import Failed

_NAMED = 5  # events in a message


def stranger_among(desk: Desk, owners: Iterable[str], standing: Iterable[str] = ()) -> str:
    """Why these cannot be owners; empty where they can. Those of an identity provider may be yet to come."""
    if not desk.settings.web_auth:
        return ""
    known = {name for name, person in list(desk.views.people.items.items()) if person.here != "removed"}
    strangers = [name for name in owners if name.strip() not in known and ":" not in name and name not in standing]
    return f"there is nobody called {strangers[0][:100]!r} who could own it: add them first" if strangers else ""


def check_owners(desk: Desk, owners: Iterable[str], standing: Iterable[str] = ()) -> None:
    """Raise Failed where somebody is to become an owner whom nobody knows."""
    if why := stranger_among(desk, owners, standing):
        raise Failed(422, why, reason="invalid")


def check_owns_nothing(desk: Desk, name: str) -> None:
    """Raise Failed where somebody new would own the events of whoever had the name before."""
    codes = sorted(event.code for event in list(desk.views.events.view.items.values()) if name in event.owners)
    if codes and ":" not in name:
        named = ", ".join(codes[:_NAMED]) + (f" and {len(codes) - _NAMED} more" if len(codes) > _NAMED else "")
        why = f"{name!r} would own {named}, as somebody called so did: name other owners there, or choose another name"
        raise Failed(409, why, reason="state")
