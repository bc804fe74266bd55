"""An event: its page, its history, and what can be done to it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from app.domain.decisions import Action, goes
from app.domain.differences import differences
from app.domain.people import Right
from app.domain.rematch import PAST_SOURCES
from app.web import changing
from app.web.api.history import Part, at, changes
from app.web.api.live import hearing
from app.web.changing import Cloned, Started
from app.web.forms import DELETIONS, PASTS, moment, past
from app.web.pages import live
from app.web.problems import Failed
from app.web.routes import Asked, Handler, Page, Redirect, Route

A_PAGE = 50


class Acted(Struct, frozen=True, kw_only=True):
    """A button, with the version that its page showed."""

    why: str = ""
    past: str = ""
    source: str = ""  # that is asked for the past
    version: int = 0


class Confirmed(Struct, frozen=True, kw_only=True):
    """Something that cannot be taken back: the code of the event is typed."""

    confirm: str = ""
    why: str = ""


class Looked(Struct, frozen=True, kw_only=True):
    """Which part of the history, and the moment that is asked about."""

    before: Annotated[int, Meta(ge=1)] | None = None
    moment: str = ""


class Owners(Struct, frozen=True, kw_only=True):
    """Names with commas between, and the version that the page showed."""

    owners: str = ""
    why: str = ""
    version: int = 0


async def page(asked: Asked) -> Page:
    """What can be done to it, how it is while it happens, and what it looks for."""
    pasts = {"pasts": PASTS, "deletions": DELETIONS, "hearing": hearing(asked)}
    return Page("event.html", {**await live.shown(asked, asked.query), "goes": goes, **pasts})


async def history(asked: Asked) -> Page:
    """Every change, and how it stood at a moment."""
    looked: Looked = asked.query
    found, more = changes(asked.event.history, Part(before=looked.before, most=A_PAGE))
    wrong, then = "", None
    try:
        asked_at = moment(looked.moment, "The moment")
        then = at(asked, asked_at) if asked_at else None
    except (ValueError, Failed) as failed:
        wrong = str(failed)
    rows = [(one, differences(one.changed)) for one in found]
    shown = {"event": asked.event, "rows": rows, "more": more, "looked": looked, "then": then, "wrong": wrong}
    return Page("event_history.html", shown)


async def manage(asked: Asked) -> Page:
    """What is done seldom: clone, owners, the past, delete, purge."""
    return _manage(asked)


def _manage(asked: Asked, wrong: str = "", status: int = 200, owning: Owners | None = None) -> Page:
    event = asked.event
    owning = owning or Owners(owners=", ".join(event.owners), version=event.version)
    return Page(
        "event_manage.html",
        {
            "event": event,
            "goes": goes,
            "pasts": PASTS,
            "sources": PAST_SOURCES,
            "wrong": wrong,
            "owning": owning,
        },
        status,
    )


def _back(asked: Asked, said: str) -> Redirect:
    return Redirect(f"/events/{asked.event.code}", said)


async def start(asked: Asked) -> Redirect | Page:
    """Collect for it."""
    form: Acted = asked.body
    try:
        since = past(form.past)
    except ValueError as wrong:
        raise Failed(422, str(wrong), reason="invalid") from None
    await changing.start(asked, Started(rematch_since=since, why=form.why), form.version or None)
    return _back(asked, "It is started.")


def _action(action: Action, said: str) -> Handler:
    async def act(asked: Asked) -> Redirect:
        await changing.act(asked, action, asked.body.why, asked.body.version or None)
        return _back(asked, said)

    act.__doc__ = said
    return act


async def rematch(asked: Asked) -> Redirect:
    """Have it hear the past."""
    form: Acted = asked.body
    try:
        since = past(form.past or "1")
    except ValueError as wrong:
        raise Failed(422, str(wrong), reason="invalid") from None
    if not isinstance(since, datetime):
        raise Failed(422, "this hears nothing", reason="invalid")
    await changing.act(asked, "rematch", form.why, None, since, form.source)
    return _back(asked, "It hears the past.")


async def clone(asked: Asked) -> Redirect | Page:
    """A draft that selects the same."""
    try:
        event = await changing.clone(asked, asked.body)
    except Failed as failed:
        return _manage(asked, failed.problem.detail, failed.problem.status)
    return Redirect(f"/events/{event.code}", "This is the clone, a draft.")


async def own(asked: Asked) -> Redirect | Page:
    """Say who owns it."""
    form: Owners = asked.body
    names = tuple(name.strip() for name in form.owners.split(",") if name.strip())
    try:
        await changing.own(asked, names, form.why, form.version or None)
    except Failed as failed:
        problem, wrong = failed.problem, failed.problem.detail
        if (current := problem.current) is not None:
            theirs = ", ".join(current["owners"]) or "nobody"
            wrong = f"{wrong}; its owners are {theirs} by now. What you typed stands below, and is not saved."
            form = replace(form, version=current["version"])
        return _manage(asked, wrong, problem.status, form)
    return _back(asked, "Its owners are set.")


async def delete(asked: Asked) -> Redirect | Page:
    """Its posts stay."""
    return await _confirmed(asked, "delete")


async def purge(asked: Asked) -> Redirect | Page:
    """Its posts go, too."""
    return await _confirmed(asked, "purge")


async def _confirmed(asked: Asked, action: Literal["delete", "purge"]) -> Redirect | Page:
    form: Confirmed = asked.body
    name = asked.event.name
    try:
        changing.confirm(asked, form.confirm)
        if action == "purge":
            gone = await changing.purge(asked, form.why, None)
            said = "is purged" if gone else "is being purged: its posts are removed"
        else:
            await changing.act(asked, "delete", form.why, None)
            said = "is deleted; its posts stay"
    except Failed as failed:
        return _manage(asked, failed.problem.detail, failed.problem.status)
    return Redirect("/", f"{name} {said}.")


_ONE = "/events/{code}"
_ACTIONS: dict[Action, str] = {
    "pause": "It is paused.",
    "resume": "It collects again.",
    "stop": "It is stopped.",
    "archive": "It is archived.",
}
ROUTES = [
    Route("GET", _ONE, page, "event.page", "An event", query=live.Looked),
    Route("GET", f"{_ONE}/history", history, "event.page_history", "Its history", query=Looked),
    Route("GET", f"{_ONE}/manage", manage, "event.page_manage", "What can be done to it", Right.CHANGE),
    Route(
        "POST", f"{_ONE}/start", start, "event.page_start", "Start it", Right.CHANGE, body=Acted, action="events.start"
    ),
    *(
        Route(
            "POST",
            f"{_ONE}/{action}",
            _action(action, said),
            f"event.page_{action}",
            f"{action.capitalize()} it",
            Right.CHANGE,
            body=Acted,
            action=f"events.{action}",
        )
        for action, said in _ACTIONS.items()
    ),
    Route(
        "POST",
        f"{_ONE}/rematch",
        rematch,
        "event.page_rematch",
        "Have it hear the past",
        Right.CHANGE,
        body=Acted,
        action="events.rematch",
    ),
    Route(
        "POST", f"{_ONE}/clone", clone, "event.page_clone", "Clone it", Right.CREATE, body=Cloned, action="events.clone"
    ),
    Route(
        "POST", f"{_ONE}/owners", own, "event.page_own", "Say who owns it", Right.OWN, body=Owners, action="events.own"
    ),
    Route(
        "POST",
        f"{_ONE}/delete",
        delete,
        "event.page_delete",
        "Delete it",
        Right.OWN,
        body=Confirmed,
        action="events.delete",
    ),
    Route(
        "POST", f"{_ONE}/purge", purge, "event.page_purge", "Purge it", Right.OWN, body=Confirmed, action="events.purge"
    ),
]
